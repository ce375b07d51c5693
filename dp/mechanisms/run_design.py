"""The filter and the noise of least variance for people who are seen in few runs.

A release is known by its noise, which has to be the same on every machine. So sums of floating point,
whose last digits may differ, are rounded before they are compared, and σ is rounded up to few digits.
"""

from __future__ import annotations

import math
from functools import lru_cache

from dp.accounting.gaussian import gaussian_mu
from dp.accounting.rounding import KAPPA, ROUNDING
from dp.accounting.run_cost import Taps, fractional_difference, runs_cost
from dp.budget import Budget
from dp.mechanisms.run_noise import RunNoise, mean_gain
from dp.unit.run_set import RunSet

GRID = 256
"""h: coefficients in steps of 1/256. They are part of the design, not approximations of another one."""
GAMMAS = tuple(step / 20 for step in range(2, 14))
BANDS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
_DIGITS = 7
"""Decimal digits of σ."""
_NEARLY = 1.02
"""How much more noise on single counts is accepted for less in their common level."""


@lru_cache(maxsize=256)
def least_run_noise(budget: Budget, unit: RunSet, cells: int) -> RunNoise:
    """Return the noise on runs of nearly the least variance, on average over the counts of a region.

    Args:
        budget: what may be spent.
        unit: what one privacy unit can add.
        cells: T, counts of one region.

    Example:
        >>> from dp.mechanisms.count_noise import calibrate
        >>> from dp.unit import ContributionBound
        >>> bound = ContributionBound(intervals=3456, regions=1)
        >>> noise = least_run_noise(Budget(1.0, 1e-7), RunSet(bound, regions=6, runs=4 * 72), 3456)
        >>> round(noise.deviation / calibrate(noise.budget, bound).sigma, 2)
        0.62
    """
    taps = best_filter(unit, cells)
    slack = KAPPA * unit.regions * cells
    mu = gaussian_mu(Budget(budget.epsilon - 2 * slack, budget.delta * math.exp(-slack)))
    variance = runs_cost(taps, unit) / GRID**2 / mu**2 * (1 + 1e-9)
    sigma = max(math.sqrt(variance + ROUNDING / GRID**2), math.sqrt(2 * ROUNDING) / GRID)
    return RunNoise(unit, budget, _above(sigma), taps, cells)


@lru_cache(maxsize=256)
def best_filter(unit: RunSet, cells: int) -> Taps:
    """Return the filter of the smallest common level among those of nearly the least variance.

    What many counts have in common does not average out, so that a little more noise on single
    counts is well spent on less of it.
    """
    every = {
        taps: float(f"{runs_cost(taps, unit) * mean_gain(taps, cells) ** 2:.9g}")
        for taps in filters()
    }
    most = min(every.values()) * _NEARLY**2
    near = [taps for taps, variance in every.items() if variance <= most]
    return min(near, key=lambda taps: runs_cost(taps, unit) / sum(taps) ** 2)


def _above(sigma: float) -> float:
    """Return the next number above σ that has few decimal digits."""
    last = math.floor(math.log10(sigma)) + 1 - _DIGITS
    return float(f"{math.floor(sigma / 10.0**last) + 1}e{last}")


@lru_cache(maxsize=1)
def filters() -> tuple[Taps, ...]:
    """Return all filters to choose from, each once."""
    every = (fractional_difference(gamma, band, GRID) for gamma in GAMMAS for band in BANDS)
    return tuple(dict.fromkeys(every))
