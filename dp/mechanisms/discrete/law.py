"""The discrete Gaussian in blocks: what its thresholds are computed from, coarsely or to any precision.

P(x) = exp(-h x²) / Z with h = 1 / (2σ²), and σ the exact value of a float. Blocks of B numbers have

    exp(-h (aB + b)²) = exp(-h (aB)²) · exp(-h b²) · exp(-2 h B a)^b,

so that three short lists are enough for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from math import isqrt

from dp.mechanisms.discrete.bounds import (
    Bounds,
    exponential,
    fixed,
    gaussians,
    pi,
    powers,
    square_root,
    times,
)

SMALLEST, LARGEST = 0.25, float(1 << 20)
"""Range of σ. The proofs of `normaliser` and `dp.mechanisms.discrete.table` use it."""

_LARGEST_BLOCK = 2048


@dataclass(frozen=True)
class Blocks:
    """Bounds of a law's factors in units of 2^-bits; `rows` blocks of B numbers from 0 upwards.

    Attributes:
        bits: precision.
        outer: exp(-h (aB)²), [rows].
        inner: exp(-h b²), [B].
        ratio: exp(-2 h B a), [rows].
        normaliser: Z.
    """

    bits: int
    outer: tuple[Bounds, ...]
    inner: tuple[Bounds, ...]
    ratio: tuple[Bounds, ...]
    normaliser: Bounds

    @property
    def width(self) -> int:
        """B, numbers in a block."""
        return len(self.inner)

    @property
    def size(self) -> int:
        """Numbers in all blocks."""
        return len(self.outer) * len(self.inner)


def blocks(sigma: float, bits: int, tail: int) -> Blocks:
    """Return the blocks of a law, as many as `reach` asks for.

    Args:
        sigma: parameter of the law.
        bits: precision of the bounds.
        tail: the mass beyond the blocks is at most 2^-tail.

    Raises:
        ValueError: σ is outside of the range.
    """
    exact, width = checked(sigma), block_width(sigma)
    half = 1 / (2 * exact**2)
    rows = -(-reach(exact, tail) // width)
    falls = exponential(2 * half * width, bits)
    return Blocks(
        bits,
        outer=tuple(islice(gaussians(half * width**2, bits), rows)),
        inner=tuple(islice(gaussians(half, bits), width)),
        ratio=tuple(islice(powers(falls, bits), rows)),
        normaliser=normaliser(exact, bits),
    )


def checked(sigma: float) -> Fraction:
    """Return the exact value of σ.

    Raises:
        ValueError: it is outside of the range.
    """
    if not SMALLEST <= sigma <= LARGEST:
        raise ValueError(
            f"expected sigma={sigma:g} to be between {SMALLEST:g} and {LARGEST:g}; other samplers go "
            "further, at more time a count"
        )
    return Fraction(sigma)


def block_width(sigma: float) -> int:
    """Return B, a power of two: at most σ/16, so that the factors of a block are far from 0."""
    width = 1
    while width < _LARGEST_BLOCK and 32 * width <= sigma:
        width *= 2
    return width


def reach(sigma: Fraction, tail: int) -> int:
    """Return N so that P(X ≥ N) ≤ 2^-tail.

    As (N + j)² ≥ N² + 2Nj, the sum of exp(-h x²) from N on is at most exp(-h N²) / (1 - exp(-y)) with
    y = N/σ², hence at most exp(-h N²) · (1 + 1/y), hence at most exp(-h N²) · (1 + σ) if N ≥ σ. Z is at
    least 1, and at least 2σ (`normaliser`), so that P(X ≥ N) ≤ 2 · exp(-h N²). As ln 2 < 0.7,
    h N² ≥ 0.7 · (tail + 1) is enough, and gives N ≥ σ.
    """
    least = Fraction(7 * (tail + 1), 10) * 2 * sigma**2
    return isqrt(-(-least.numerator // least.denominator) - 1) + 1


def normaliser(sigma: Fraction, bits: int) -> Bounds:
    """Return bounds of Z, by Poisson's summation: √(2πσ²) · (1 + 2 Σ exp(-2π²σ²k²)), k ≥ 1.

    With σ ≥ 1/4 a term of the sum is less than e^-3 times the one before, so that those from k on are
    less than 1.1 times the k-th; they are left out where that is below 2^-(bits + 2).
    """
    circle = pi(bits)
    low, high = (2 * sigma**2 * Fraction(end, 1 << bits) ** 2 for end in circle)
    total = [1 << bits, (1 << bits) + 1]  # 1 for all that is left out
    k = 1
    while low * k**2 * 10 < 7 * (bits + 2):
        total[0] += 2 * exponential(high * k**2, bits)[0]
        total[1] += 2 * exponential(low * k**2, bits)[1]
        k += 1
    area = fixed(2 * sigma**2 * Fraction(circle[0], 1 << bits), bits)[0]
    ceiling = fixed(2 * sigma**2 * Fraction(circle[1], 1 << bits), bits)[1]
    return times(square_root((area, ceiling), bits), (total[0], total[1]), bits)
