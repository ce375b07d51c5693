"""The noise design of least variance that keeps a budget.

A release is known by its noise: the same request has to get the same noise to the last digit on every
machine. What is searched for, by functions whose last digits differ from one to the next, is rounded
to few digits.
"""

from __future__ import annotations

import math
from functools import lru_cache

from scipy.optimize import minimize_scalar

from dp.accounting.gaussian import gaussian_mu
from dp.accounting.rounding import KAPPA
from dp.accounting.shared_offset import GroupCost
from dp.accounting.worst_case import worst_case
from dp.budget import Budget
from dp.mechanisms.count_noise import CountNoise, calibrate
from dp.mechanisms.offset_noise import OffsetNoise
from dp.unit.contribution_set import ContributionSet
from dp.unit.privacy_unit import PrivacyUnit

Noise = CountNoise | OffsetNoise

_GRIDS = (1, 2, 4, 8, 16, 32, 64)
_FINEST = 128
_NESTED = 32
"""Grid of nested regions, whose worst case is searched for: trying others would take long."""
_COARSE = 1.0025
"""How much more noise a coarser grid may cost."""
_WORTH, _WORTH_IN_PART = 0.98, 0.9
"""Share of the independent noise below which offsets are worth having, of a panel or of parts of it.

Offsets of weeks and days change within the panel and do not average out in a forecaster's lags, so that
forecasts gain less than counts do (decision 0025).
"""
_CLOSE = 1e-6
"""Share of its budget that a design may leave unused; bounds have steps of 1e-7."""
_LARGE = 2.0**20
"""A noise beside which the rounding to the grid is negligible."""
_DIGITS = 7
"""Decimal digits of σ, which is rounded up; s/σ has three."""


@lru_cache(maxsize=256)
def least_noise(
    budget: Budget, unit: ContributionSet, *, per: PrivacyUnit | None, cells: int
) -> Noise:
    """Return the noise of least variance that keeps the budget for one privacy unit.

    It has shared offsets where these make it at least 2 % smaller (10 % if they are those of weeks or
    days), and is independent otherwise.

    Args:
        budget: what may be spent.
        unit: what one privacy unit can add.
        per: whose counts may share an offset: those that one unit can be in. None for
            independent noise.
        cells: the most counts of one region that share it.

    Raises:
        ValueError: the nesting of regions is too involved to be searched.

    Example:
        >>> from dp.unit import ContributionBound
        >>> unit = ContributionSet(ContributionBound(intervals=3456, regions=1), regions=6, ever=1)
        >>> noise = least_noise(Budget(1.0, 1e-7), unit, per=PrivacyUnit.USER, cells=3456)
        >>> round(noise.deviation), round(calibrate(noise.budget, noise.bound).sigma)
        (140, 275)
    """
    independent = calibrate(budget, unit.bound)
    if per is None or per is PrivacyUnit.USER_INTERVAL or cells < 2:
        return independent
    grid = _NESTED if unit.parents else _grid(unit, cells)
    _, ratio = _best_ratio(unit, cells, grid)
    shared = _of_ratio(budget, unit, per, cells, grid, ratio) if ratio else None
    worth = _WORTH if per is PrivacyUnit.USER else _WORTH_IN_PART
    if shared is not None and shared.deviation <= independent.sigma * worth:
        return shared
    return independent


def _grid(unit: ContributionSet, cells: int) -> int:
    """Return the coarsest grid that costs next to no noise."""
    finest, _ = _best_ratio(unit, cells, _FINEST)
    for grid in _GRIDS:
        variance, ratio = _best_ratio(unit, cells, grid)
        if ratio and variance <= finest * _COARSE**2:
            return grid
    return _FINEST


@lru_cache(maxsize=1024)
def _best_ratio(unit: ContributionSet, cells: int, grid: int) -> tuple[float, float]:
    """Return the least variance for μ = 1, in persons², and s/σ of the design that has it."""

    def squared(ratio: float) -> float:
        cost = GroupCost(_LARGE, _LARGE * ratio, grid, cells, unit.bound.weight)
        return worst_case(unit, cost) * _LARGE**2

    def variance(log_ratio: float) -> float:
        ratio = math.exp(log_ratio)
        return (1 + ratio**2) * squared(ratio)

    found = minimize_scalar(
        variance,
        bounds=(math.log(0.1 / math.sqrt(cells)), math.log(2.0)),
        method="bounded",
        options={"xatol": 1e-3},
    )
    without = squared(0.0)
    best = float(f"{math.exp(found.x):.3g}")
    least = variance(math.log(best))
    return (least, best) if least < without else (without, 0.0)


def _of_ratio(
    budget: Budget, unit: ContributionSet, per: PrivacyUnit, cells: int, grid: int, ratio: float
) -> OffsetNoise | None:
    """Return the design with s/σ = `ratio`; None if the offset is too small for the grid."""
    slack = KAPPA * unit.regions * (cells + 1)
    mu = gaussian_mu(Budget(budget.epsilon - 2 * slack, budget.delta * math.exp(-slack)))
    cost = GroupCost(_LARGE, _LARGE * ratio, grid, cells, unit.bound.weight)
    sigma = math.sqrt(worst_case(unit, cost)) * _LARGE / mu
    if sigma * ratio * grid < 2:
        return None

    def excess_of(sigma: float) -> float:
        cost = GroupCost(sigma, sigma * ratio, grid, cells, unit.bound.weight)
        return math.sqrt(worst_case(unit, cost)) / mu

    excess = excess_of(sigma)
    while not 1 - _CLOSE <= excess <= 1:  # rounding costs a little more than beside a large noise
        sigma *= excess * (1 + _CLOSE / 4)
        excess = excess_of(sigma)
    sigma = _above(sigma)
    return OffsetNoise(unit, budget, sigma, sigma * ratio, grid, per, cells)


def _above(sigma: float) -> float:
    """Return the next number above σ that has few decimal digits."""
    last = math.floor(math.log10(sigma)) + 1 - _DIGITS
    return float(f"{math.floor(sigma / 10.0**last) + 1}e{last}")
