"""Thresholds of the discrete Gaussian as words of 64 bits, each with the same proven error.

P(X ≥ x) for x = n, n - 1, ..., 1 is rounded to units of 2^-64. Doubles are multiplied, which IEEE 754
rounds correctly on every platform; everything else is whole numbers. No function of a mathematical
library is trusted.

The error. A probability p(x) is a product of at most 13 factors: the outer one, the inner one, and the
ratio to the power 1, 2, 4 ... for each bit of the position in its block, which has 2048 numbers at most.
`_float` checks that each is known to 2^-60, and rounds it to a double: together a relative error of at
most 2^-53 + 2^-59. The 12 products add 2^-53 each. All of these stay below 28 · 2^-53, so a sum of
probabilities, which is below 1/2, is wrong by less than 28 · 2^-54, that is 28 · 2^10 units. Each p(x)
is then cut to a whole number of units of 2^-(64 + f), at a loss of less than 2^-f units; these are
summed up exactly. What is beyond n is a unit at most, and so is what is cut at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import ldexp

import numpy as np
from numpy.typing import NDArray

from dp.mechanisms.discrete.bounds import Bounds, over, times
from dp.mechanisms.discrete.law import Blocks, blocks

_BITS = 192
"""Precision of the factors: enough for 2^-60 of the smallest."""

_SLAB = 1 << 18
"""Probabilities that are computed at a time."""

_MOST_BUCKETS = 22
"""Bits of a folded word that choose a bucket, at most."""

WordArray = NDArray[np.uint64]


@dataclass(frozen=True)
class Table:
    """Thresholds, and what the first bits of a word tell.

    A folded word v stands for a number U in [v, v + 1] / 2^64, below 1/2; |X| is how many of the
    thresholds P(X ≥ 1), P(X ≥ 2), ... are above U.

    Attributes:
        thresholds: ascending, [n]; the j-th is `error` units at most from 2^64 · P(X ≥ n - j).
        error: in units of 2^-64.
        shift: a bucket has 2^shift words.
        buckets: |X| of each bucket; below 0 if a threshold is near, when -1 - i says that i thresholds
            are surely below.
    """

    thresholds: WordArray
    error: int
    shift: int
    buckets: NDArray[np.int32]

    def magnitudes(self, folded: WordArray) -> NDArray[np.int64]:
        """Return |X| of folded words, or -1 where the table cannot tell; same shape, [size]."""
        found: NDArray[np.int64] = self.buckets.take(
            (folded >> np.uint64(self.shift)).view(np.int64)
        ).astype(np.int64)
        near = np.flatnonzero(found < 0)
        if near.size:
            found[near] = self._search(folded[near], -1 - found[near])
        return found

    def _search(self, folded: WordArray, below: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return |X| of words near a threshold, or -1; `below` thresholds are surely not above."""
        last = len(self.thresholds) - 1
        index = below + (self.thresholds.take(np.minimum(below, last)) <= folded)
        upper = self.thresholds.take(np.minimum(index, last))
        more = np.flatnonzero((upper <= folded) & (index <= last))
        if more.size:
            index[more] = np.searchsorted(self.thresholds, folded[more], side="right")
            upper = self.thresholds.take(np.minimum(index, last))
        lower = self.thresholds.take(np.maximum(index - 1, 0))
        sure = (index > 0) & (folded - lower > np.uint64(self.error))
        sure &= (index > last) | (upper - folded > np.uint64(self.error + 1))
        return np.where(sure, last + 1 - index, -1)


@lru_cache(maxsize=2)
def table(sigma: float) -> Table:
    """Return the table of a law.

    Raises:
        ValueError: σ is outside of the range.
    """
    law = blocks(sigma, _BITS, tail=64)
    finer = max(0, (int(sigma) // law.width).bit_length() - 1)
    error = 28 * 2**10 + (law.size >> finer) + 3
    thresholds = _thresholds(law, finer)
    # four buckets for each threshold in the middle, where one has 2^64 / (σ √(2π)) words
    bits = min(_MOST_BUCKETS, max(10, int(sigma).bit_length() + 4))
    shift = 63 - bits
    buckets = _buckets(thresholds, error, shift)
    for kept in (thresholds, buckets):
        kept.flags.writeable = False
    return Table(thresholds, error, shift, buckets)


def _thresholds(law: Blocks, finer: int) -> WordArray:
    """Return sums of probabilities from the last number down to 1, in units of 2^-64, cut.

    With 2^f ≤ σ/B a block sums up to less than 2^63 finer units: a probability is at most
    1 / Z < 1/(2σ), or below 1/2 where σ is small, when f = 0 and B = 1.
    """
    outer, inner, ratios = _factors(law, 64 + finer)
    result = np.empty((len(outer), law.width), np.uint64)
    rows = max(1, _SLAB // law.width)
    for start in range(0, len(outer), rows):
        part = slice(start, start + rows)
        mass = np.empty((len(outer[part]), law.width))
        mass[:, 0] = outer[part]
        for bit, ratio in enumerate(ratios):
            half = 1 << bit
            np.multiply(mass[:, :half], ratio[part, None], out=mass[:, half : 2 * half])
        mass *= inner
        units = mass[::-1, ::-1].astype(np.uint64)
        np.cumsum(units, axis=1, out=result[len(outer) - start - len(units) :][: len(units)])
    before = list(accumulate(result[:-1, -1].tolist(), initial=0))
    whole = np.array([total >> finer for total in before], np.uint64)
    rest = np.array([total & ((1 << finer) - 1) for total in before], np.uint64)
    result += rest[:, None]
    result >>= np.uint64(finer)
    result += whole[:, None]
    return result.reshape(-1)[:-1]  # without 0 itself


def _factors(law: Blocks, unit: int) -> tuple[NDArray[np.float64], ...]:
    """Return outer factors in units of 2^-unit, inner ones, and powers of the ratios, [bits, rows]."""
    outer = [_float(over(value, law.normaliser, law.bits), law.bits) for value in law.outer]
    inner = [_float(value, law.bits) for value in law.inner]
    powers, ratio = [], list(law.ratio)
    for _ in range(law.width.bit_length() - 1):
        powers.append([_float(value, law.bits) for value in ratio])
        ratio = [times(value, value, law.bits) for value in ratio]
    return np.array(outer) * ldexp(1.0, unit), np.array(inner), np.array(powers)


def _float(value: Bounds, bits: int) -> float:
    """Return a number that is known to 2^-60 as a double."""
    low, high = value
    if (high - low) << 60 > low:
        raise ArithmeticError("a factor of the discrete Gaussian is not known to 60 bits")
    return ldexp(float(low), -bits)


def _buckets(thresholds: WordArray, error: int, shift: int) -> NDArray[np.int32]:
    """Return what each bucket of folded words tells; see `Table`."""
    count = 1 << (63 - shift)
    margin, width = np.uint64(error), np.uint64(shift)
    first = (np.maximum(thresholds, margin + np.uint64(1)) - (margin + np.uint64(1))) >> width
    last = (thresholds + margin) >> width
    reached = np.cumsum(np.bincount(first.view(np.int64), minlength=count)[:count])
    passed = np.cumsum(np.bincount(last.view(np.int64), minlength=count)[:count])
    below = np.concatenate([[0], passed[:-1]])
    sure = (reached == below) & (below > 0)
    return np.where(sure, len(thresholds) - below, -1 - below).astype(np.int32)
