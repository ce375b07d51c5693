"""Real numbers between two whole ones: fixed point that never rounds the wrong way.

A number is known by a pair (lower, upper) in units of 2^-bits: it is at least the one and at most the
other. Every operation rounds the lower one down and the upper one up, so that the pair stays true
whatever happened before. Only whole numbers are used, of any length.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import isqrt

Bounds = tuple[int, int]
"""Lower and upper bound of a number that is not negative, in units of 2^-bits."""


def fixed(value: Fraction, bits: int) -> Bounds:
    """Return bounds of a fraction."""
    scaled = value.numerator << bits
    return scaled // value.denominator, -(-scaled // value.denominator)


def times(one: Bounds, other: Bounds, bits: int) -> Bounds:
    """Return bounds of a product."""
    return one[0] * other[0] >> bits, -(-one[1] * other[1] >> bits)


def over(one: Bounds, other: Bounds, bits: int) -> Bounds:
    """Return bounds of a quotient; the divisor's lower bound is above 0."""
    return (one[0] << bits) // other[1], -((-one[1] << bits) // other[0])


def power(base: Bounds, exponent: int, bits: int) -> Bounds:
    """Return bounds of a power."""
    result = 1 << bits, 1 << bits
    while exponent:
        if exponent & 1:
            result = times(result, base, bits)
        base, exponent = times(base, base, bits), exponent >> 1
    return result


def powers(base: Bounds, bits: int) -> Iterator[Bounds]:
    """Yield bounds of base^0, base^1, base^2 ..."""
    value = 1 << bits, 1 << bits
    while True:
        yield value
        value = times(value, base, bits)


def gaussians(rate: Fraction, bits: int) -> Iterator[Bounds]:
    """Yield bounds of exp(-rate · i²) for i = 0, 1, 2 ...

    The ratio of neighbours is exp(-rate · (2 i + 1)), and falls by exp(-2 · rate) each time.
    """
    value = 1 << bits, 1 << bits
    ratio, fall = exponential(rate, bits), exponential(2 * rate, bits)
    while True:
        yield value
        value, ratio = times(value, ratio, bits), times(ratio, fall, bits)


def exponential(exponent: Fraction, bits: int) -> Bounds:
    """Return bounds of exp(-exponent), for an exponent that is not negative.

    By the series of exp(r) with r = exponent / 2^halvings ≤ 1/2, all of whose terms are positive: each
    is at most a quarter of the one before from the second on, so that what is left out after a term is
    less than that term.
    """
    halvings = max(0, (2 * exponent.numerator // exponent.denominator).bit_length())
    work = bits + halvings + 8
    small = fixed(exponent / (1 << halvings), work)
    term: Bounds = (1 << work, 1 << work)
    total, index = term, 0
    while term[1] > 1:
        index += 1
        low, high = times(term, small, work)
        term = low // index, -(-high // index)
        total = total[0] + term[0], total[1] + term[1]
    one = 1 << work, 1 << work
    result = over(one, (total[0], total[1] + 1), work)
    for _ in range(halvings):
        result = times(result, result, work)
    return coarser(result, work - bits)


def coarser(value: Bounds, dropped: int) -> Bounds:
    """Return the bounds with that many bits fewer."""
    return value[0] >> dropped, -(-value[1] >> dropped)


def square_root(value: Bounds, bits: int) -> Bounds:
    """Return bounds of a square root."""
    return isqrt(value[0] << bits), isqrt(value[1] << bits) + 1


def pi(bits: int) -> Bounds:
    """Return bounds of π, by Machin's 16 · arctan(1/5) - 4 · arctan(1/239)."""
    work = bits + 8
    fifth, other = _arctangent(5, work), _arctangent(239, work)
    exact = 16 * fifth[0] - 4 * other[1], 16 * fifth[1] - 4 * other[0]
    return coarser(exact, 8)


def _arctangent(inverse: int, bits: int) -> Bounds:
    """Return bounds of arctan(1 / inverse); its series alternates, so the next term bounds the rest."""
    low = high = 0
    index = 0
    while True:
        divisor = (2 * index + 1) * inverse ** (2 * index + 1)
        down, up = fixed(Fraction(1, divisor), bits)
        if index % 2:
            low, high = low - up, high - down
        else:
            low, high = low + down, high + up
        if up <= 1:
            return low - 1, high + 1
        index += 1
