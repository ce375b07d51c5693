"""Privacy of DP-SGD on overlapping windows of one series: the sliding-window accountant.

A privacy unit changes k windows. Windows are drawn by Poisson with rate q, so that I ~ Binom(k, q) of
them are in a batch, and each moves the clipped sum by at most the clip, in the opposite direction for
the neighbour. With noise of s times the clip the pair
P = Σ_i p_i N(+i, s²), Q = Σ_i p_i N(−i, s²)
dominates a step (Schuchardt et al. 2025, arXiv:2502.02410, theorems 4.2, 4.5 and E.8). It is what a
worst-case unit attains, so nothing smaller is true. Steps compose as privacy loss distributions
(Connect the Dots, Doroshenko et al. 2022, arXiv:2207.04380).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, logsumexp

from dp.accounting.gaussian import gaussian_mu
from dp.budget import Budget

Floats = NDArray[np.float64]

FINE, COARSE = 4_000, 500
"""Grid points of the privacy loss between 0 and its largest relevant value."""
_TAIL = 10.0
"""Standard deviations of noise beyond which the loss counts as infinite: a mass of 1e-23."""
_DROPPED = 1e-18
"""Mass of the binomial law that may be left out at either end, and is added to delta."""
_MOST_NOISE = 1e6
"""The largest noise multiplier, relative to the windows hit, that calibration tries."""


_MANY_CELLS = 100_000
"""From there on the law of the sum has too many points to be listed."""


@dataclass(frozen=True)
class CellNoise:
    """Discrete Gaussian noise on counts of which one privacy unit changes at most some, by 1 each.

    Attributes:
        sigma: parameter of the noise, at least 2.
        cells: n, counts that a unit can change; where it can change one by more than 1, the sum of the
            squared changes.
    """

    sigma: float
    cells: int

    def __post_init__(self) -> None:
        if not (self.sigma >= 2 and self.cells >= 1):
            raise ValueError(f"expected sigma={self.sigma} ≥ 2 and cells={self.cells} ≥ 1")

    @property
    def largest_loss(self) -> float:
        """Privacy loss beyond which there is next to no mass."""
        mu = math.sqrt(self.cells) / self.sigma
        return mu * (_TAIL + mu)

    def loss_distribution(self, spacing: float) -> Any:
        """Return a pessimistic privacy loss distribution (dp-accounting's `PrivacyLossDistribution`).

        The loss depends on the sum of n discrete Gaussians, whose law is one discrete Gaussian of
        variance nσ² up to a factor e^±τ, τ ≤ 10·n·e^(−π²σ²) < 1e-15·n (Kairouz, Liu, Steinke 2021,
        theorem 9): below what the account resolves.
        """
        from dp_accounting.pld.privacy_loss_distribution import (
            from_discrete_gaussian_mechanism,
            from_gaussian_mechanism,
        )

        if self.cells > _MANY_CELLS:
            # a rounded Gaussian of variance σ² − 2 (`dp.composition.total`)
            return from_gaussian_mechanism(
                math.sqrt((self.sigma**2 - 2) / self.cells),
                value_discretization_interval=spacing,
                use_connect_dots=True,
            )
        return from_discrete_gaussian_mechanism(
            self.sigma * math.sqrt(self.cells),
            self.cells,
            value_discretization_interval=spacing,
            use_connect_dots=True,
        )


def step_delta(hit: int, rate: float, noise: float, epsilon: Floats) -> Floats:
    """Return delta(epsilon) of one step for each epsilon ≥ 0, [N].

    P − e^ε·Q is positive beyond the point where the log ratio, odd and increasing, reaches ε.

    Args:
        hit: k, windows that a privacy unit can change.
        rate: q, probability that a window is in the batch.
        noise: s, standard deviation of the noise over the clip.
        epsilon: increasing, [N].
    """
    counts, log_mass = _binomial(hit, rate)
    if counts[-1] == 0:
        return np.zeros_like(epsilon)

    def loss(points: Floats) -> tuple[Floats, Floats]:
        """Return the log ratio of P to Q, and its slope."""
        up = log_mass - (points[:, None] - counts) ** 2 / (2 * noise**2)
        down = log_mass - (points[:, None] + counts) ** 2 / (2 * noise**2)
        above, below = logsumexp(up, axis=1), logsumexp(down, axis=1)
        mean = np.exp(up - above[:, None]) @ counts + np.exp(down - below[:, None]) @ counts
        return above - below, mean / noise**2

    grid = np.linspace(0, counts[-1] + (_TAIL + 2) * noise, 2_000)
    at = np.interp(epsilon, loss(grid)[0], grid)
    for _ in range(3):  # Newton; the error in delta is of second order in what is left
        value, slope = loss(at)
        at = np.clip(at - (value - epsilon) / slope, 0, grid[-1])
    upper = logsumexp(log_mass + log_ndtr((counts - at[:, None]) / noise), axis=1)
    lower = logsumexp(log_mass + log_ndtr((-counts - at[:, None]) / noise), axis=1)
    return np.asarray(np.exp(upper) * -np.expm1(np.minimum(0.0, epsilon + lower - upper)))


def loss_distribution(hit: int, rate: float, noise: float, spacing: float) -> Any:
    """Return a pessimistic privacy loss distribution of one step.

    It is dp-accounting's `PrivacyLossDistribution`.

    Args:
        hit: k, windows that a privacy unit can change.
        rate: q, probability that a window is in the batch.
        noise: s, standard deviation of the noise over the clip.
        spacing: of the discretised loss.
    """
    from dp_accounting.pld.pld_pmf import create_pmf_pessimistic_connect_dots
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

    points = np.arange(math.ceil(largest_loss(hit, rate, noise) / spacing) + 1)
    epsilon = np.asarray(points * spacing, dtype=np.float64)
    delta = np.clip(step_delta(hit, rate, noise, epsilon) + 2 * _DROPPED, 0.0, 1.0)
    # P and Q are mirror images, so that the curve below 0 follows from that above.
    mirrored = np.clip(1 - np.exp(-epsilon[1:]) * (1 - delta[1:]), 0.0, 1.0)
    curve = np.minimum.accumulate(np.concatenate([mirrored[::-1], delta]))
    losses = np.concatenate([-points[:0:-1], points])
    return PrivacyLossDistribution(create_pmf_pessimistic_connect_dots(spacing, losses, curve))


@lru_cache(maxsize=256)
def epsilon_of(
    hit: int,
    rate: float,
    noise: float,
    steps: int,
    delta: float,
    *,
    side_release: CellNoise | None = None,
    grid: int = FINE,
) -> float:
    """Return epsilon(delta) of `steps` steps, never below the true one.

    Args:
        hit: k, windows that a privacy unit can change.
        rate: q, probability that a window is in the batch.
        noise: s, standard deviation of the noise over the clip; 0 is no privacy.
        steps: updates of the weights.
        delta: delta.
        side_release: a release of counts beside the training, composed with it.
        grid: points of the discretised loss.

    Example:
        >>> round(epsilon_of(hit=5, rate=0.2, noise=20.0, steps=200, delta=1e-6), 2)
        7.28
    """
    return epsilon_path(hit, rate, noise, (steps,), delta, side_release=side_release, grid=grid)[0]


def epsilon_path(
    hit: int,
    rate: float,
    noise: float,
    marks: tuple[int, ...],
    delta: float,
    *,
    side_release: CellNoise | None = None,
    grid: int = COARSE,
) -> list[float]:
    """Return epsilon(delta) after each of several increasing numbers of steps."""
    if not noise:
        return [math.inf] * len(marks)
    # With very much noise the step's own grid would be too fine for what is composed with it.
    coarsest = side_release.largest_loss / 50 if side_release else 0.0
    width = max(largest_loss(hit, rate, noise), coarsest) / grid
    step = loss_distribution(hit, rate, noise, width)
    total = None if side_release is None else side_release.loss_distribution(width)
    path: list[float] = []
    done = 0
    for mark in marks:
        more = step.self_compose(mark - done)
        total, done = more if total is None else total.compose(more), mark
        path.append(float(total.get_epsilon_for_delta(delta)))
    return path


def noise_for(
    budget: Budget, *, hit: int, rate: float, steps: int, side_release: CellNoise | None = None
) -> float:
    """Return the smallest noise multiplier whose epsilon at the budget's delta is within the budget.

    Raises:
        ValueError: no practical noise multiplier reaches it; the message has the smallest epsilon that
            can be reached.
    """

    def excess(noise: float, grid: int = COARSE) -> float:
        epsilon = epsilon_of(
            hit, rate, noise, steps, budget.delta, side_release=side_release, grid=grid
        )
        return epsilon - budget.epsilon

    # With much noise the step is close to one Gaussian of the mean number of windows.
    low = high = max(0.1, 2 * hit * rate * math.sqrt(steps) / gaussian_mu(budget))
    stride = 1.2
    while excess(high) > 0:
        low, high, stride = high, high * stride, stride * 1.3
        if high > _MOST_NOISE * hit:
            least = epsilon_of(hit, rate, high, steps, budget.delta, side_release=side_release)
            raise ValueError(
                f"epsilon={budget.epsilon:g} cannot be reached at delta={budget.delta:g}; the "
                f"smallest that can is {least:.3g}"
            )
    while low > 1e-3 and excess(low) <= 0:
        low, high = low / 1.2, low
    while high > low * (1 + 1e-4):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if excess(middle) <= 0 else (middle, high)
    while excess(high * (1 - 1e-4), FINE) <= 0 and high > 1e-3:  # a finer grid needs a little less
        high *= 1 - 1e-4
    return high


def naive_epsilon(rate: float, noise: float, steps: int, delta: float) -> float:
    """Return the epsilon that is usually reported, that of one window as if it were a whole record.

    Poisson-subsampled Gaussian steps, one window added or removed. Not a guarantee for an interval
    or a person, who are in many windows; for comparison only.

    Example:
        >>> round(naive_epsilon(rate=0.2, noise=20.0, steps=200, delta=1e-6), 2)
        0.58
    """
    if not noise:
        return math.inf
    from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism

    spacing = max(1e-6, min(1e-3, rate / noise / 50))
    step = from_gaussian_mechanism(noise, sampling_prob=rate, value_discretization_interval=spacing)
    return float(step.self_compose(steps).get_epsilon_for_delta(delta))


@lru_cache(maxsize=64)
def _binomial(hit: int, rate: float) -> tuple[Floats, Floats]:
    """Return how many of the changed windows are in a batch: counts and log probabilities."""
    from scipy.stats import binom  # slow to import, and not needed to read a ledger

    law = binom(hit, rate)
    first = max(0, int(law.ppf(_DROPPED)) - 1)
    last = min(hit, int(law.isf(_DROPPED)) + 1)
    counts = np.arange(first, last + 1)
    log_mass = law.logpmf(counts)
    finite = np.isfinite(log_mass)
    return counts[finite].astype(np.float64), log_mass[finite]


def largest_loss(hit: int, rate: float, noise: float) -> float:
    """Return the privacy loss at the point beyond which P has next to no mass."""
    counts, log_mass = _binomial(hit, rate)
    at = counts[-1] + _TAIL * noise
    up = logsumexp(log_mass - (at - counts) ** 2 / (2 * noise**2))
    down = logsumexp(log_mass - (at + counts) ** 2 / (2 * noise**2))
    return max(float(up - down), 1e-12)
