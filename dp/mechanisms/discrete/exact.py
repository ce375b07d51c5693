"""Exact decisions where the table cannot tell: thresholds to any precision, in whole numbers alone.

A sum of probabilities is bounded from both sides, to as many bits as are needed until the number that
a word stands for is surely on one side of it. Nothing is ever decided by less.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from dp.mechanisms.discrete.bounds import Bounds, over, power, times
from dp.mechanisms.discrete.law import Blocks, blocks

_WORD = 64
_GUARD = 64
"""Bits of the bounds beyond those of the word."""


def decide(sigma: float, word: int, more: Iterator[int]) -> int:
    """Return |X| of a folded word, drawing further ones for as long as it takes.

    Args:
        sigma: parameter of the law.
        word: v, for a number U in [v, v + 1] / 2^64 that is below 1/2.
        more: further words, folded like the first, which extend U to 128, 192 ... bits.
    """
    length = _WORD
    while True:
        sums = tails(sigma, length + _GUARD)
        lowest, highest = word << _GUARD, (word + 1) << _GUARD
        found = bisect_left(range(sums.size), True, key=lambda x: sums.above(x)[1] <= lowest)
        if sums.above(found)[1] <= lowest and (found == 0 or highest <= sums.above(found - 1)[0]):
            return found
        word, length = word << _WORD | next(more), length + _WORD


@dataclass(frozen=True)
class Tails:
    """Bounds of P(X > x) in units of 2^-bits.

    Attributes:
        law: the law's blocks, with what is beyond them below 2^-bits.
        sums: of exp(-h y²) over the blocks from each on, [rows + 1].
    """

    law: Blocks
    sums: tuple[Bounds, ...]

    @property
    def size(self) -> int:
        """Numbers in the blocks."""
        return self.law.size

    def above(self, x: int) -> Bounds:
        """Return bounds of P(X > x)."""
        bits = self.law.bits
        row, start = divmod(x + 1, self.law.width)
        if row >= len(self.law.outer):
            return 0, 1
        rest = self.sums[row + 1]
        block = times(self.law.outer[row], _polynomial(self.law, row, start), bits)
        mass = over((rest[0] + block[0], rest[1] + block[1]), self.law.normaliser, bits)
        return mass[0], mass[1] + 1


@lru_cache(maxsize=4)
def tails(sigma: float, bits: int) -> Tails:
    """Return sums of a law; kept, since for a large σ they take seconds."""
    law = blocks(sigma, bits, tail=bits)
    rows = range(len(law.outer) - 1, -1, -1)
    parts = (times(law.outer[row], _polynomial(law, row, 0), bits) for row in rows)
    sums = accumulate(parts, lambda one, two: (one[0] + two[0], one[1] + two[1]), initial=(0, 0))
    return Tails(law, tuple(sums)[::-1])


def _polynomial(law: Blocks, row: int, start: int) -> Bounds:
    """Return bounds of the sum of inner[b] · ratio^b from b = start on, by Horner's rule."""
    bits, (ratio_low, ratio_high) = law.bits, law.ratio[row]
    low = high = 0
    for least, most in reversed(law.inner[start:]):
        low = (low * ratio_low >> bits) + least
        high = -(-high * ratio_high >> bits) + most
    return times((low, high), power(law.ratio[row], start, bits), bits)
