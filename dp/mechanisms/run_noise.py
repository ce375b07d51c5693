"""Noise for people who are seen in few runs: counts are filtered, noised, and put back together.

A run is a step up and a step down. Differences between neighbouring counts of a region tell little
more about somebody who stays for a while than about somebody who stays for a moment, and levels far
less than all of the counts do. So the noise is small where counts differ from their neighbours, and
large in their common level: its spectrum is that of a fractional difference, cut off at a few lags.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dp.accounting.gaussian import smallest_epsilon
from dp.accounting.rounding import rounded_delta, rounded_variance
from dp.accounting.run_cost import Taps, lag_products, runs_cost, spread_cost
from dp.budget import Budget
from dp.mechanisms.count_noise import discrete_gaussian
from dp.mechanisms.offset_noise import within_range
from dp.permit import Permit
from dp.unit.contribution import ContributionBound
from dp.unit.run_set import RunSet

NAME = "discrete-gaussian on filtered counts"
"""Mechanism of its events."""
_ABOVE = 1 + 1e-12
"""Covers the rounding of the few operations of a cost."""


@dataclass(frozen=True)
class RunNoise:
    """Discrete Gaussian noise on filtered counts, filtered back: mechanism and account in one value.

    Made by `dp.mechanisms.run_design.least_run_noise`; noise too small for the budget cannot be
    constructed.

    Attributes:
        unit: what one privacy unit can add.
        budget: what may be spent.
        sigma: σ, parameter of the noise on filtered counts, in persons.
        taps: h·aⱼ, coefficients of the filter in steps of 1/h; the first one is h, a power of two.
        cells: T, the most counts of one region.
    """

    unit: RunSet
    budget: Budget
    sigma: float
    taps: Taps
    cells: int

    def __post_init__(self) -> None:
        lag_products(self.taps)
        reached = rounded_delta(self._mu, self._draws, self.budget.epsilon)
        if reached > self.budget.delta:
            raise ValueError(
                f"sigma={self.sigma:g} is too small for this filter: delta({self.budget.epsilon:g}) "
                f"would be {reached:.3g}, above {self.budget.delta:g}"
            )

    @property
    def bound(self) -> ContributionBound:
        """K, M and w_max of a unit."""
        return self.unit.bound

    @property
    def grid(self) -> int:
        """h, steps in one person of what is noised."""
        return self.taps[0]

    @property
    def deviation(self) -> float:
        """Standard deviation of the noise on one count, in persons; root mean square over a region."""
        return self.sigma * mean_gain(self.taps, self.cells)

    @property
    def deviations(self) -> tuple[float, float]:
        """Standard deviations of the noise on the first and the last count, in persons."""
        return self.sigma, self.sigma * float(np.sqrt(np.sum(response(self.taps, self.cells) ** 2)))

    def deviation_of_mean(self, counts: int) -> float:
        """Return the standard deviation of the noise on the mean of a region's last counts, in persons.

        Independent noise averages out with their root; noise in the common level does not.

        Args:
            counts: how many of them, at most all.
        """
        level = np.concatenate([[0.0], np.cumsum(response(self.taps, self.cells))])
        until = np.arange(1, self.cells + 1)
        weights = level[until] - level[np.maximum(until - counts, 0)]
        return self.sigma * float(np.sqrt(np.sum(weights**2))) / counts

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
            "taps": list(self.taps),
            "cells": self.cells,
            "intervals": self.bound.intervals,
            "regions": self.bound.regions,
            "weight": self.bound.weight,
            "of": self.unit.regions,
            "runs": self.unit.runs,
        }

    def draw(self, counts: NDArray[np.float64], permit: Permit) -> NDArray[np.float64]:
        """Return counts plus fresh noise, [T, R]; rows of NaN (intervals not observed) stay as they are.

        The filter goes over the observed intervals as if there were no others: a run across a
        gap is one run, and two runs on both sides of one become one, which costs less.

        Args:
            counts: raw counts, [T, R].
            permit: from the ledger, for this noise.

        Raises:
            ValueError: a count is not a whole number, or there are more than were accounted for.
        """
        observed = ~np.isnan(counts).any(axis=1)
        whole = counts[observed].astype(np.int64)
        if not np.array_equal(whole, counts[observed]):
            raise ValueError("noise is for whole counts; aggregate or round at the source")
        if counts.shape[1] != self.unit.regions or len(whole) > self.cells:
            raise ValueError(
                f"expected at most {self.cells} counts in each of {self.unit.regions} regions"
            )
        permit.use("noise on counts", self.event())
        noise = discrete_gaussian(filtered(within_range(whole), self.taps), self.sigma * self.grid)
        noised = np.full(counts.shape, np.nan)
        noised[observed] = unfiltered(noise, self.taps)
        return noised

    @property
    def _mu(self) -> float:
        return float(np.sqrt(cost_of(self.event())[0]))

    @property
    def _draws(self) -> int:
        return cost_of(self.event())[1]


def filtered(counts: NDArray[np.int64], taps: Taps) -> NDArray[np.int64]:
    """Return h·A·x in whole numbers, [T, R], of counts x."""
    result = counts * taps[0]
    for lag, tap in enumerate(taps[1 : len(counts)], 1):
        result[lag:] += tap * counts[:-lag]
    return result


def unfiltered(values: NDArray[np.int64], taps: Taps) -> NDArray[np.float64]:
    """Return A⁻¹·w, [T, R], of filtered counts h·w: post-processing, in floating point."""
    from scipy.signal import lfilter

    result: NDArray[np.float64] = lfilter([1.0], taps, values.astype(float), axis=0)
    return result


@lru_cache(maxsize=256)
def response(taps: Taps, cells: int) -> NDArray[np.float64]:
    """Return how a draw of noise goes on in the counts after it, [T]: first column of A⁻¹."""
    one = np.zeros(cells)
    one[0] = taps[0]
    from scipy.signal import lfilter

    result: NDArray[np.float64] = lfilter([1.0], taps, one)
    result.flags.writeable = False
    return result


def mean_gain(taps: Taps, cells: int) -> float:
    """Return the root mean square standard deviation of counts for σ = 1."""
    return float(np.sqrt(np.mean(np.cumsum(response(taps, cells) ** 2))))


def noise_of(event: dict[str, Any], budget: Budget) -> RunNoise:
    """Return the noise that an event describes, under a budget that it keeps."""
    bound = ContributionBound(event["intervals"], event["regions"], event["weight"])
    unit = RunSet(bound, event["of"], event["runs"])
    return RunNoise(unit, budget, event["sigma"], tuple(event["taps"]), event["cells"])


def cost_of(event: dict[str, Any]) -> tuple[float, int]:
    """Return μ² of an event for its unit, and the number of noise draws that are accounted for.

    An event that was converted for another unit may be marked as one whose neighbours are both within
    the bound (`both`), so that their distance is at most twice its root; as one that changes so many
    counts, up or down (`apart`); or have the number of own units that it consists of (`units`).
    """
    taps = tuple(event["taps"])
    variance = rounded_variance(event["sigma"], taps[0]) * taps[0] ** 2
    draws = event["cells"] * event["of"]
    if "apart" in event:
        return spread_cost(taps, event["apart"]) / variance * _ABOVE, draws
    bound = ContributionBound(event["intervals"], event["regions"], event["weight"])
    cost = runs_cost(taps, RunSet(bound, event["of"], event["runs"]))
    factor = event.get("units", 1) * (4 if event.get("both") else 1)
    return factor * cost / variance * _ABOVE, draws
