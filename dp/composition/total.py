"""Totals of many releases of one data set: the whole curve delta(epsilon), from events.

Noised counts are rounded Gaussians whose squared losses add up exactly, for any number of adaptive
releases of any noise and weights (`dp.accounting.rounding`): μ² = Σ nᵢwᵢ²/(σᵢ² − r²), and what their
design makes of it where counts share noise.
Trainings are composed as privacy loss distributions, and so is everything where both occur
(dominating pairs compose: Zhu, Dong, Wang 2022, theorem 10).

Sums are kept as whole numbers, so that neither order nor rounding can change a total.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from dp.accounting.gaussian import discrete_delta, smallest_epsilon, zcdp_delta
from dp.accounting.rounding import KAPPA, ROUNDING, rounded_delta
from dp.budget import Budget
from dp.mechanisms import kept_offsets, offset_noise, run_noise, window_sampling
from dp.unit.contribution import ContributionBound

Event = dict[str, Any]

COUNTS, TRAINING = "discrete-gaussian", "poisson-sampled windows"
OFFSETS, PIECE, RUNS = offset_noise.NAME, kept_offsets.PIECE, run_noise.NAME

_UNIT = 2**80
"""Unit of the fixed-point sums, which are rounded up."""
_POINTS = 400_000
"""The most grid points of the privacy loss of a part when parts are composed."""
_WEAKEST = 5_000.0
"""Multiple of the requested noise beyond which a release that does not fit is not worth making."""


@dataclass(frozen=True)
class Total:
    """The total of several events for one privacy unit.

    Attributes:
        releases: how many there are.
        cells: N, noise draws that two neighbouring data sets disagree on, over all releases.
        mu2: Σ nw²/(σ² − r²), fixed point; counts with very little noise are in `low_noise` instead.
        rho: Σ nw²/(2σ²) of zero-concentrated DP, fixed point; of noised counts.
        low_noise: releases of counts with σ² < 2r².
        sigma: of all noised counts, if it is one and the same and weights are 1.
        trainings: events of trainings, as JSON, with their number.
        open: releases without a guarantee for this unit.
    """

    releases: int = 0
    cells: int = 0
    mu2: int = 0
    rho: int = 0
    low_noise: int = 0
    sigma: float | None = None
    trainings: tuple[tuple[str, int], ...] = ()
    open: int = 0

    def plus(self, event: Event | None) -> Total:
        """Return the total with one more event; None for one without a guarantee for the unit."""
        more = replace(self, releases=self.releases + 1)
        if event is None:
            return replace(more, open=self.open + 1)
        if event["mechanism"] == COUNTS:
            return _with_counts(more, event)
        if event["mechanism"] == OFFSETS:
            return _with_design(more, *offset_noise.cost_of(event))
        if event["mechanism"] == RUNS:
            return _with_design(more, *run_noise.cost_of(event))
        if event["mechanism"] == PIECE:
            return more  # its group was charged as a whole
        if event["mechanism"] == TRAINING:
            run = json.dumps(_plain(event), sort_keys=True)
            count = dict(self.trainings)
            count[run] = count.get(run, 0) + 1
            return replace(more, trainings=tuple(sorted(count.items())))
        raise ValueError(f"events of mechanism {event['mechanism']!r} cannot be accounted for")

    @property
    def mu_of_counts(self) -> float:
        """μ of the noised counts as a Gaussian mechanism."""
        return math.sqrt(self.mu2 / _UNIT)

    def delta(self, epsilon: float) -> float:
        """Return delta at an epsilon, never below the true one; 1 if nothing is promised."""
        if self.open:
            return 1.0
        if not self.trainings:
            return _counts_delta(self, epsilon) if self.cells else 0.0
        if self.low_noise:
            return min(1.0, math.nextafter(self._epsilon_bracket(epsilon), 1))
        slack = KAPPA * self.cells
        delta = self._losses.get_delta_for_epsilon(max(0.0, epsilon - 2 * slack))
        return min(1.0, float(delta) * math.exp(slack))

    def epsilon(self, delta: float) -> float:
        """Return epsilon at a delta, never below the true one; infinite if there is none."""
        if self.open:
            return math.inf
        if not self.trainings:
            return smallest_epsilon(self.delta, delta) if self.cells else 0.0
        if self.low_noise:  # both at half of delta, added up
            counts = replace(self, trainings=()).epsilon(delta / 2)
            return counts + replace(self, cells=0, low_noise=0).epsilon(delta / 2)
        if not self.cells and len(self.trainings) == 1 and self.trainings[0][1] == 1:
            return window_sampling.sampling_of(json.loads(self.trainings[0][0])).epsilon(delta)
        slack = KAPPA * self.cells
        epsilon = self._losses.get_epsilon_for_delta(delta * math.exp(-slack))
        return float(epsilon) + 2 * slack

    def within(self, cap: Budget) -> bool:
        """Return whether the total is within a cap."""
        if self.trainings:
            return self.epsilon(cap.delta) <= cap.epsilon
        return self.delta(cap.epsilon) <= cap.delta

    def to_json(self) -> str:
        """Return the total as canonical JSON; whole numbers too long for most readers are text."""
        values = {**asdict(self), "mu2": str(self.mu2), "rho": str(self.rho)}
        values["loud"] = values.pop("low_noise")  # its name in ledgers
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> Total:
        """Read the total from the result of `to_json`."""
        values = json.loads(text)
        values["low_noise"] = values.pop("loud")
        return cls(
            **{
                **values,
                "mu2": int(values["mu2"]),
                "rho": int(values["rho"]),
                "trainings": tuple((event, count) for event, count in values["trainings"]),
            }
        )

    def _epsilon_bracket(self, epsilon: float) -> float:
        """Return delta at epsilon by bisection of the inverse."""
        low, high = -300.0, 0.0
        while high - low > 1e-6:
            middle = (low + high) / 2
            low, high = (low, middle) if self.epsilon(10.0**middle) <= epsilon else (middle, high)
        return float(10.0**high)

    @cached_property
    def _losses(self) -> Any:
        """Privacy loss of everything (dp-accounting's `PrivacyLossDistribution`)."""
        from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism

        runs = [
            (window_sampling.sampling_of(json.loads(text)), count) for text, count in self.trainings
        ]
        mu = self.mu_of_counts
        largest = [run.largest_loss for run, _ in runs]
        finest = [run.spacing for run, _ in runs]
        if self.cells:
            largest.append(mu * (mu + 10))
            finest.append(max(largest[-1] / 4_000, 1e-7))
        # One grid for all: as fine as the part with the smallest losses needs, as coarse as the one
        # with the largest allows.
        spacing = max(min(finest), max(largest) / _POINTS)
        parts = [_of_runs(text, count, spacing) for text, count in self.trainings]
        if self.cells:
            parts.append(
                from_gaussian_mechanism(
                    1 / mu, value_discretization_interval=spacing, use_connect_dots=True
                )
            )
        total = parts[0]
        for part in parts[1:]:
            total = total.compose(part)
        return total


def total(events: list[Event | None]) -> Total:
    """Return the total of all events.

    Example:
        >>> from dp import calibrate
        >>> noise = calibrate(Budget(1.0, 1e-6), ContributionBound(intervals=48, regions=2))
        >>> twice = total([noise.event(), noise.event()])
        >>> twice.releases, round(twice.epsilon(delta=1e-6), 2)
        (2, 1.45)
    """
    result = Total()
    for event in events:
        result = result.plus(event)
    return result


_AMOUNTS: dict[str, tuple[str, ...]] = {
    COUNTS: ("sigma",),
    OFFSETS: ("sigma", "offset"),
    PIECE: (),
    RUNS: ("sigma",),
    TRAINING: ("noise_multiplier",),
}
"""Fields of an event that grow with its noise, by mechanism."""


def weaker(event: Event, factor: float) -> Event:
    """Return the event of the same release with `factor` times the noise."""
    return {**event, **{name: event[name] * factor for name in _AMOUNTS[event["mechanism"]]}}


def largest_fitting(cap: Budget, event: Event, before: Total) -> float:
    """Return the largest epsilon of a release like `event` that keeps the total within `cap`."""
    if not before.releases:
        return cap.epsilon
    if not before.within(cap):
        return 0.0

    def fits(log_factor: float) -> bool:
        return before.plus(weaker(event, math.exp(log_factor))).within(cap)

    low, high = 0.0, math.log(2.0)
    while not fits(high):
        low, high = high, high + math.log(2.0)
        if high > math.log(_WEAKEST):
            return 0.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return Total().plus(weaker(event, math.exp(high))).epsilon(cap.delta)


def _with_counts(total: Total, event: Event) -> Total:
    bound = ContributionBound(*(event[name] for name in ("intervals", "regions", "weight")))
    square, variance = bound.cells * bound.weight**2, event["sigma"] ** 2
    low_noise = variance < 2 * ROUNDING
    same = bound.weight == 1 and (total.sigma == event["sigma"] or not total.cells)
    return replace(
        total,
        cells=total.cells + bound.cells,
        mu2=total.mu2 + (0 if low_noise else math.ceil(square / (variance - ROUNDING) * _UNIT)),
        rho=total.rho + math.ceil(square / (2 * variance) * _UNIT),
        low_noise=total.low_noise + low_noise,
        sigma=event["sigma"] if same else None,
    )


def _with_design(total: Total, mu2: float, draws: int) -> Total:
    return replace(
        total,
        cells=total.cells + draws,
        mu2=total.mu2 + math.ceil(mu2 * _UNIT),
        rho=total.rho + math.ceil(mu2 / 2 * _UNIT),
        sigma=None,
    )


def largest_epsilon(totals: Iterable[Total], delta: float) -> float:
    """Return the largest epsilon(delta) of several totals; 0 of none.

    Checking whether a total is within the largest epsilon so far is much faster than computing its own.
    """
    largest = 0.0
    for total in sorted(totals, key=lambda total: total.mu2, reverse=True):
        if largest == math.inf:
            break
        if largest == 0.0 or not total.within(Budget(largest, delta)):
            largest = max(largest, total.epsilon(delta))
    return largest


def _counts_delta(total: Total, epsilon: float) -> float:
    """Return delta(epsilon) of noised counts: the smallest of several upper bounds."""
    if total.sigma is not None:  # never above the zCDP bound
        bounds = [discrete_delta(total.sigma, ContributionBound(total.cells, 1), epsilon)]
    else:
        bounds = [zcdp_delta(total.rho / _UNIT, epsilon)]
    if not total.low_noise:
        bounds.append(rounded_delta(total.mu_of_counts, total.cells, epsilon))
    return min(bounds)


def _plain(event: Event) -> Event:
    """Return a training's event without the fields that its account does not depend on."""
    names = ("mechanism", "rate", "windows", "batch", "steps", "hit", "noise_multiplier", "aside")
    return {name: event[name] for name in names}


@lru_cache(maxsize=64)
def _of_runs(text: str, count: int, spacing: float) -> Any:
    losses = window_sampling.sampling_of(json.loads(text)).loss_distribution(spacing)
    return losses.self_compose(count) if count > 1 else losses
