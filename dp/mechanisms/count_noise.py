"""Input perturbation: discrete Gaussian noise on integer counts, sampled exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dp.accounting.gaussian import discrete_delta, discrete_epsilon, discrete_rho, discrete_sigma
from dp.budget import Budget
from dp.mechanisms.discrete import LARGEST, SMALLEST, sample
from dp.permit import Permit
from dp.unit.contribution import ContributionBound

MANY = 10_000
"""Counts from which on a table of the law pays, which takes up to 0.1 s for σ = 10⁵."""
_CHUNK = 1 << 15


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
    def deviation(self) -> float:
        """Standard deviation of all noise on one count, in persons."""
        return self.sigma

    @property
    def epsilon(self) -> float:
        """Epsilon achieved at the budget's delta; not above the budget's epsilon."""
        return min(self.budget.epsilon, discrete_epsilon(self.sigma, self.bound, self.budget.delta))

    @property
    def rho(self) -> float:
        """ρ of the guarantee as zero-concentrated DP, which adds up over releases."""
        return discrete_rho(self.sigma, self.bound)

    def event(self) -> dict[str, Any]:
        """Return the ledger's event, from which epsilon can be recomputed at any delta."""
        return {
            "mechanism": "discrete-gaussian",
            "sigma": self.sigma,
            "intervals": self.bound.intervals,
            "regions": self.bound.regions,
            "weight": self.bound.weight,
        }

    def draw(self, counts: NDArray[np.float64], permit: Permit) -> NDArray[np.float64]:
        """Return counts plus fresh noise, [T, R]; rows of NaN (intervals not observed) stay as they are.

        The noise is sampled exactly (`discrete_gaussian`); it has no seed and cannot be reproduced.

        Args:
            counts: raw counts, [T, R].
            permit: from the ledger, for this noise.

        Raises:
            ValueError: a count is not a whole number.
        """
        observed = ~np.isnan(counts).any(axis=1)
        whole = counts[observed].astype(np.int64)
        if not np.array_equal(whole, counts[observed]):
            raise ValueError("noise is for whole counts; aggregate or round at the source")
        permit.use("noise on counts", self.event())
        noised = np.full(counts.shape, np.nan)
        noised[observed] = discrete_gaussian(whole, self.sigma, self)
        return noised


def discrete_gaussian(
    counts: NDArray[np.int64], sigma: float, claim: CountNoise | None = None
) -> NDArray[np.int64]:
    """Return whole numbers plus fresh discrete Gaussian noise, sampled exactly; same shape.

    From `MANY` counts on, `dp.mechanisms.discrete` samples, from random numbers of the operating system;
    fewer, and those with a σ outside of its range, are for OpenDP, which takes its random numbers from
    OpenSSL. Either way a sum beyond 64 bits becomes the largest or smallest number that they hold,
    which depends on the sum alone: an error would tell of a count.

    Args:
        counts: any shape.
        sigma: parameter of the noise.
        claim: an account that OpenDP's own map must confirm before anything is drawn.
    """
    noise = measurement(sigma)
    if claim is not None:
        theirs = noise.map(claim.bound.sensitivity)
        if theirs > claim.rho * (1 + 1e-9):
            raise RuntimeError(
                f"OpenDP accounts rho={theirs:g}, we {claim.rho:g}: nothing was drawn"
            )
    if counts.size >= MANY and SMALLEST <= sigma <= LARGEST:
        return _added(sample(counts.size, sigma), counts.ravel()).reshape(counts.shape)
    return np.reshape(noise(counts.ravel().tolist()), counts.shape)


def _added(noise: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add counts to noise, in its memory; what is beyond 64 bits becomes the nearest number within."""
    limits = np.iinfo(np.int64)
    for start in range(0, noise.size, _CHUNK):
        drawn, count = noise[start : start + _CHUNK], counts[start : start + _CHUNK]
        total = drawn + count
        # both terms have one sign, the sum has the other: it went past the end
        beyond = (drawn ^ total) & (count ^ total) < 0
        total[beyond] = np.where(drawn[beyond] < 0, limits.min, limits.max)
        drawn[:] = total
    return noise


def measurement(sigma: float) -> Any:
    """Return OpenDP's discrete Gaussian on lists of whole numbers; its `map` accounts in zCDP."""
    import opendp.prelude as dp

    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
    return dp.m.make_gaussian(*space, scale=sigma)


def calibrate(budget: Budget, bound: ContributionBound) -> CountNoise:
    """Return the least noise that keeps the budget for one privacy unit.

    Example:
        >>> noise = calibrate(Budget(1.0, 1e-6), ContributionBound(intervals=48, regions=2))
        >>> round(noise.sigma, 2), round(noise.epsilon, 3)
        (41.39, 1.0)
    """
    return CountNoise(bound=bound, budget=budget, sigma=discrete_sigma(budget, bound))
