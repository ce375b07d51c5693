"""Input perturbation: discrete Gaussian noise on integer counts, drawn by OpenDP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dp.accounting import discrete_delta, discrete_epsilon, discrete_rho, discrete_sigma
from dp.budget import Budget
from dp.unit import ContributionBound


@dataclass(frozen=True)
class CountNoise:
    """Discrete Gaussian noise on a panel of counts: the mechanism and its account in one value.

    Made by `calibrate`; a σ too small for the budget cannot be constructed.

    Attributes:
        bound: what one privacy unit can change.
        budget: what may be spent.
        sigma: parameter of the discrete Gaussian, in persons (its standard deviation is not above it).
    """

    bound: ContributionBound
    budget: Budget
    sigma: float

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"expected sigma={self.sigma:g} to be above 0")
        reached = discrete_delta(self.sigma, self.bound, self.budget.epsilon)
        if reached > self.budget.delta:
            raise ValueError(
                f"sigma={self.sigma:g} is too small: delta({self.budget.epsilon:g}) would be "
                f"{reached:.3g}, above {self.budget.delta:g}"
            )

    @property
    def epsilon(self) -> float:
        """Epsilon achieved at the budget's delta; not above the budget's epsilon."""
        return min(self.budget.epsilon, discrete_epsilon(self.sigma, self.bound, self.budget.delta))

    @property
    def rho(self) -> float:
        """The same guarantee as zero-concentrated DP, which adds up over releases."""
        return discrete_rho(self.sigma, self.bound)

    def event(self) -> dict[str, Any]:
        """What was done, for the ledger: enough to recompute epsilon at any delta."""
        return {
            "mechanism": "discrete-gaussian",
            "sigma": self.sigma,
            "intervals": self.bound.intervals,
            "regions": self.bound.regions,
            "weight": self.bound.weight,
        }

    def draw(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Counts plus fresh noise, [T, R]; rows of NaN (intervals not observed) stay as they are.

        The noise comes from OpenDP's exact sampler and the operating system's randomness; it has no
        seed, so that nobody can draw it again.

        Raises:
            ValueError: a count is not a whole number.
        """
        observed = ~np.isnan(counts).any(axis=1)
        whole = counts[observed].astype(np.int64)
        if not np.array_equal(whole, counts[observed]):
            raise ValueError("noise is for whole counts; aggregate or round at the source")
        noised = np.full(counts.shape, np.nan)
        noised[observed] = np.reshape(self._opendp()(whole.ravel().tolist()), whole.shape)
        return noised

    def _opendp(self) -> Any:
        """OpenDP's measurement, after its own map has agreed with our account."""
        import opendp.prelude as dp

        dp.enable_features("contrib")
        space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
        measurement = dp.m.make_gaussian(*space, scale=self.sigma)
        theirs = measurement.map(self.bound.sensitivity)
        if theirs > self.rho * (1 + 1e-9):
            raise RuntimeError(
                f"OpenDP accounts rho={theirs:g}, we {self.rho:g}: nothing was drawn"
            )
        return measurement


def calibrate(budget: Budget, bound: ContributionBound) -> CountNoise:
    """The least noise that keeps the budget for one privacy unit."""
    return CountNoise(bound=bound, budget=budget, sigma=discrete_sigma(budget, bound))
