"""The discrete Gaussian by decimal arithmetic and direct sums: nothing in common with the sampler."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray

WORD = 64


@cache
def at_least(sigma: float, digits: int) -> tuple[Fraction, ...]:
    """P(X ≥ x) for x = 0, 1 ... until it is below 10^-digits, correct to about that many."""
    with localcontext() as context:
        context.prec = digits + 20
        twice = 2 * Decimal(sigma) ** 2  # a float converts exactly
        terms = [Decimal(1)]
        while terms[-1] > Decimal(10) ** -(digits + 5):
            terms.append((-(Decimal(len(terms)) ** 2) / twice).exp())
        total = terms[0] + 2 * sum(terms[1:])
        sums = [Decimal(0)]
        for term in reversed(terms):
            sums.append(sums[-1] + term)
        return tuple(Fraction(value / total) for value in reversed(sums))


def distribution(sigma: float, x: int, digits: int) -> Fraction:
    """F(x) = P(X ≤ x)."""
    tail = at_least(sigma, digits)
    beyond = tail[min(abs(x + 1) if x >= 0 else -x, len(tail) - 1)]
    return 1 - beyond if x >= 0 else beyond


def number(words: Sequence[int]) -> Fraction:
    """The number in [0, 1) whose binary digits are the words."""
    return Fraction(int.from_bytes(b"".join(word.to_bytes(8, "big") for word in words)), 1) / (
        1 << WORD * len(words)
    )


def digits_of(value: Fraction, count: int) -> int:
    """The first binary digits of a number in [0, 1), as a whole number."""
    return (value.numerator << count) // value.denominator


@dataclass
class Scripted:
    """Words as they are written down, the same further ones at every position; counts what is asked."""

    first: Sequence[int]
    rest: Sequence[int] = ()
    then: int = 0x5555555555555555
    asked: int = 0

    def take(self, start: int, size: int) -> NDArray[np.uint64]:
        return np.array(self.first[start : start + size], np.uint64)

    def further(self, position: int) -> Iterator[int]:
        for word in self.rest:
            self.asked += 1
            yield word
        while True:
            self.asked += 1
            yield self.then
