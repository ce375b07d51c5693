"""Noise with shared offsets: less noise where nobody can be in all counts at once.

Every count of a region carries its own discrete Gaussian noise, and all counts of a group (a region's
counts of the whole panel, of one week or of one day) carry one offset more. An offset hides that
somebody was there all the time, so that the noise on single counts can be smaller (Nikolov and Tang
2023, arXiv:2301.13850; Lebeda 2024, arXiv:2408.06853).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dp.accounting.gaussian import smallest_epsilon
from dp.accounting.rounding import rounded_delta
from dp.accounting.shared_offset import GroupCost
from dp.accounting.worst_case import worst_case
from dp.budget import Budget
from dp.mechanisms.count_noise import discrete_gaussian
from dp.permit import Permit
from dp.unit.contribution import ContributionBound
from dp.unit.contribution_set import ContributionSet
from dp.unit.privacy_unit import PrivacyUnit

NAME = "discrete-gaussian with shared offsets"
"""Mechanism of its events."""
_LARGEST = 1 << 53
"""Counts beyond are cut, so that the sums with noise, in steps of the grid, fit 64 bits."""


@dataclass(frozen=True)
class OffsetNoise:
    """Discrete Gaussian noise with one offset for each group of counts: mechanism and account in one.

    Made by `dp.mechanisms.design.least_noise`; noise too small for the budget cannot be constructed.

    Attributes:
        unit: what one privacy unit can add.
        budget: what may be spent.
        sigma: σ, parameter of the noise of single counts, in persons.
        offset: s, parameter of the offsets, in persons.
        grid: g, steps in one person; a power of two, so that noised counts are exact.
        per: whose counts in one region share an offset: those of the `user` (all), of a `user-week`
            or of a `user-day`.
        cells: n, the most counts of one group.
    """

    unit: ContributionSet
    budget: Budget
    sigma: float
    offset: float
    grid: int
    per: PrivacyUnit
    cells: int

    def __post_init__(self) -> None:
        if self.grid < 1 or self.grid & (self.grid - 1):
            raise ValueError(f"expected grid={self.grid} to be a power of two")
        if self.per is PrivacyUnit.USER_INTERVAL:
            raise ValueError("expected a group to have several counts; user-interval has one")
        reached = rounded_delta(self._mu, self._draws, self.budget.epsilon)
        if reached > self.budget.delta:
            raise ValueError(
                f"sigma={self.sigma:g} with offset={self.offset:g} is too small: "
                f"delta({self.budget.epsilon:g}) would be {reached:.3g}, above {self.budget.delta:g}"
            )

    @property
    def bound(self) -> ContributionBound:
        """K, M and w_max of a unit."""
        return self.unit.bound

    @property
    def deviation(self) -> float:
        """Standard deviation of all noise on one count, in persons."""
        return float(np.hypot(self.sigma, self.offset))

    def deviation_of_mean(self, counts: int) -> float:
        """Return the standard deviation of the noise on the mean of a group's counts, in persons.

        Args:
            counts: how many of one region and one group.
        """
        return float(np.hypot(self.sigma / np.sqrt(counts), self.offset))

    @property
    def epsilon(self) -> float:
        """Epsilon achieved at the budget's delta; not above the budget's epsilon."""
        reached = smallest_epsilon(
            lambda epsilon: rounded_delta(self._mu, self._draws, epsilon), self.budget.delta
        )
        return min(self.budget.epsilon, reached)

    def event(self) -> dict[str, Any]:
        """Return the ledger's event, from which every unit's cost can be recomputed."""
        return {
            "mechanism": NAME,
            "sigma": self.sigma,
            "offset": self.offset,
            "grid": self.grid,
            "per": self.per.value,
            "cells": self.cells,
            "intervals": self.bound.intervals,
            "regions": self.bound.regions,
            "weight": self.bound.weight,
            "of": self.unit.regions,
            "ever": self.unit.ever,
            "parents": list(self.unit.parents),
        }

    def draw(
        self,
        counts: NDArray[np.float64],
        permit: Permit,
        groups: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float64]:
        """Return counts plus fresh noise, [T, R]; rows of NaN (intervals not observed) stay as they are.

        Args:
            counts: raw counts, [T, R].
            permit: from the ledger, for this noise.
            groups: number of the week or day of each interval, [T]; equal ones share offsets. By
                default all intervals are one group.

        Raises:
            ValueError: a count is not a whole number, or a group is larger than what was accounted.
        """
        observed = ~np.isnan(counts).any(axis=1)
        whole = counts[observed].astype(np.int64)
        if not np.array_equal(whole, counts[observed]):
            raise ValueError("noise is for whole counts; aggregate or round at the source")
        whole = within_range(whole)
        group = np.zeros(len(counts), dtype=np.int64) if groups is None else groups
        numbers, members, sizes = np.unique(
            group[observed], return_inverse=True, return_counts=True
        )
        if counts.shape[1] != self.unit.regions or sizes.max(initial=0) > self.cells:
            raise ValueError(
                f"expected groups of at most {self.cells} counts in {self.unit.regions} regions"
            )
        permit.use("noise on counts", self.event())
        none = np.zeros((len(numbers), counts.shape[1]), dtype=np.int64)
        offsets = discrete_gaussian(none, self.offset * self.grid)
        noise = discrete_gaussian(whole * self.grid, self.sigma * self.grid)
        noised = np.full(counts.shape, np.nan)
        noised[observed] = (noise + offsets[members]) / self.grid
        return noised

    @property
    def _mu(self) -> float:
        return float(np.sqrt(cost_of(self.event())[0]))

    @property
    def _draws(self) -> int:
        return cost_of(self.event())[1]


def within_range(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut counts beyond what floats hold single persons of; no two become further apart."""
    return counts.clip(-_LARGEST, _LARGEST)


def noise_of(event: dict[str, Any], budget: Budget) -> OffsetNoise:
    """Return the noise that an event describes, under a budget that it keeps."""
    bound = ContributionBound(event["intervals"], event["regions"], event["weight"])
    return OffsetNoise(
        ContributionSet(bound, event["of"], event["ever"], tuple(event["parents"])),
        budget,
        event["sigma"],
        event["offset"],
        event["grid"],
        PrivacyUnit(event["per"]),
        event["cells"],
    )


def cost_of(event: dict[str, Any]) -> tuple[float, int]:
    """Return μ² of an event for its unit, and the number of noise draws that are accounted for.

    An event that was converted for another unit has the number of groups that this unit can be in
    (`groups`), or is marked as one whose changes have both signs or are spread in an unknown way
    (`apart`): these cost no more than without offsets.
    """
    return _cost(
        *(_plain(event[name]) for name in _FIELDS), event.get("groups", 1), "apart" in event
    )


_FIELDS = (
    *("sigma", "offset", "grid", "cells"),
    *("intervals", "regions", "weight", "of", "ever", "parents"),
)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@lru_cache(maxsize=1024)
def _cost(
    sigma: float,
    offset: float,
    grid: int,
    cells: int,
    intervals: int,
    regions: int,
    weight: int,
    of: int,
    ever: int,
    parents: tuple[int, ...],
    groups: int,
    apart: bool,
) -> tuple[float, int]:
    bound = ContributionBound(intervals, regions, weight)
    if apart:
        return GroupCost(sigma, 0.0, grid, cells, weight).of(bound.cells), bound.cells
    unit = ContributionSet(bound, of, ever, parents)
    cost = GroupCost(sigma, offset, grid, cells, weight)
    return groups * worst_case(unit, cost), groups * of * (cells + 1)
