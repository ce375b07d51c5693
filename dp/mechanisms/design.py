"""The noise design of least variance that keeps a budget."""

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
from dp.mechanisms.run_noise import RunNoise
from dp.unit.contribution_set import ContributionSet
from dp.unit.privacy_unit import PrivacyUnit

Noise = CountNoise | OffsetNoise | RunNoise

_GRIDS = (1, 2, 4, 8, 16, 32, 64)
_FINEST = 128
_COARSE = 1.0025
"""How much more noise a coarser grid may cost."""
_WORTH = 0.98
"""Share of the independent noise below which an offset is worth having."""
_LARGE = 2.0**20
"""A noise beside which the rounding to the grid is negligible."""


@lru_cache(maxsize=256)
def least_noise(
    budget: Budget, unit: ContributionSet, *, per: PrivacyUnit | None, cells: int
) -> Noise:
    """Return the noise of least variance that keeps the budget for one privacy unit.

    It has shared offsets where these make it at least 2 % smaller, and is independent otherwise.

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
    finest, _ = _best_ratio(unit, cells, _FINEST)
    for grid in _GRIDS:
        variance, ratio = _best_ratio(unit, cells, grid)
        if ratio and variance <= finest * _COARSE**2:
            shared = _of_ratio(budget, unit, per, cells, grid, ratio)
            if shared is not None and shared.deviation <= independent.sigma * _WORTH:
                return shared
            return independent
    return independent


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
    return (float(found.fun), math.exp(found.x)) if found.fun < without else (without, 0.0)


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
    while True:  # rounding to the grid costs a little more than beside a large noise
        cost = GroupCost(sigma, sigma * ratio, grid, cells, unit.bound.weight)
        excess = math.sqrt(worst_case(unit, cost)) / mu
        if excess <= 1:
            break
        sigma *= excess * (1 + 1e-10)
    return OffsetNoise(unit, budget, sigma, sigma * ratio, grid, per, cells)
