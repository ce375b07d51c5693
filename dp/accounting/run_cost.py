"""Cost of runs of consecutive counts that are filtered before noise is added, in whole numbers.

Counts x of one region are released as w = A·x + z, with A lower-triangular, banded and the same in every
row: (A·x)ₜ = Σⱼ aⱼ·xₜ₋ⱼ, a₀ = 1. Independent noise z of variance σ² makes a change d cost
‖A·d‖²/σ². For counts without end ‖A·d‖² = dᵀΛd, Λₛₜ = λ(|s − t|), λ(k) = Σⱼ aⱼaⱼ₊ₖ, and where counts end
rows of A are missing, which costs less. With λ(k) ≤ 0 for all k ≥ 1

- runs that a unit adds cost at most the sum of what they cost alone, q(L) each for L intervals;
- q(L + 1) − q(L) = λ(0) + 2·Σ λ(k) over 1 ≤ k ≤ L falls with L, so that q is concave and runs of equal
  length cost most; it stays at or above (Σⱼ aⱼ)² ≥ 0, so that longer runs cost no less.

Coefficients are whole multiples of 1/h, and all sums are exact (docs/concepts/presence-in-runs.md).
"""

from __future__ import annotations

from functools import lru_cache

from dp.unit.run_set import RunSet

Taps = tuple[int, ...]
"""h·a₀, ..., h·a_b."""


def fractional_difference(gamma: float, band: int, grid: int) -> Taps:
    """Return the first coefficients of (1 − B)^γ on the grid, from the lag 0 to at most `band`.

    Rounding keeps their sum at or above 0 and every λ(k) at or below: coefficients are rounded towards
    0, and those that become 0 end the band.

    Args:
        gamma: γ, from 0 (independent noise) to below 1.
        band: b, the longest lag.
        grid: h, a power of two.

    Example:
        >>> fractional_difference(0.5, 4, 64)
        (64, -32, -8, -4, -2)
    """
    if not 0 <= gamma < 1:
        raise ValueError(f"expected gamma={gamma:g} to be from 0 to below 1")
    taps, exact = [grid], 1.0
    for lag in range(1, band + 1):
        exact *= (lag - 1 - gamma) / lag
        tap = int(exact * grid)
        if not tap:
            break
        taps.append(tap)
    return tuple(taps)


@lru_cache(maxsize=1024)
def lag_products(taps: Taps) -> tuple[int, ...]:
    """Return h²·λ(0), ..., h²·λ(b).

    Raises:
        ValueError: a unit could be in two runs at a higher cost than that of both.
    """
    if not taps or taps[0] < 1 or taps[0] & (taps[0] - 1):
        raise ValueError("expected a filter to begin with its grid, a power of two")
    products = tuple(
        sum(one * other for one, other in zip(taps, taps[lag:], strict=False))
        for lag in range(len(taps))
    )
    if any(product > 0 for product in products[1:]):
        raise ValueError(
            f"expected no positive product of lags, got {products[1:]}: runs would add to each other's "
            "cost"
        )
    return products


@lru_cache(maxsize=4096)
def run_cost(taps: Taps, length: int) -> int:
    """Return h²·q(L), the squared change of all filtered counts by one run of L intervals at most.

    Example:
        >>> run_cost((64, -32), 1), run_cost((64, -32), 2)  # one count, and the one after it
        (5120, 6144)
    """
    products = lag_products(taps)
    pairs = sum((length - lag) * product for lag, product in enumerate(products[1:length], 1))
    return length * products[0] + 2 * pairs


def runs_cost(taps: Taps, unit: RunSet) -> int:
    """Return h²·‖A·d‖² for the costliest d that a unit can add; never below the true one."""
    return sum(run_cost(taps, length) for length in unit.lengths)


def spread_cost(taps: Taps, cells: int) -> int:
    """Return a bound on h²·‖A·d‖² for any change of so many counts by one person each, up or down.

    A changes no sum of squares by more than (Σ|aⱼ|)², the square of its norm (Young).
    """
    return sum(abs(tap) for tap in taps) ** 2 * cells
