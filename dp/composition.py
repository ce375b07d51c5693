"""Several releases of one account together: epsilon at any delta, from the events in the ledger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dp import sampling
from dp.accounting import discrete_epsilon, zcdp_epsilon
from dp.unit import ContributionBound

Event = dict[str, Any]

_WEAKEST = 5_000.0
"""Times the noise that was asked for: what does not fit then is not worth releasing."""
_POINTS = 400_000
"""The most points that the privacy loss of a step is looked at when trainings are composed."""

COUNTS, TRAINING = "discrete-gaussian", "poisson-sampled windows"


def total_epsilon(events: Sequence[Event], delta: float) -> float:
    """Epsilon at `delta` of all events together, never below the true one.

    Noised counts: tight for a single release, by zCDP for more. Trainings: as privacy loss
    distributions, tight. Both together: each at half of delta, added up.

    Args:
        events: as `CountNoise.event` and `WindowSampling.event` give them, one privacy unit.
        delta: delta.
    """
    counts = [event for event in events if event["mechanism"] == COUNTS]
    trainings = [event for event in events if event["mechanism"] == TRAINING]
    unknown = len(events) - len(counts) - len(trainings)
    if unknown:
        raise ValueError(f"{unknown} events of an unknown mechanism cannot be accounted for")
    if counts and trainings:
        return _of_counts(counts, delta / 2) + _of_trainings(trainings, delta / 2)
    return _of_counts(counts, delta) if counts else _of_trainings(trainings, delta)


def rho(event: Event) -> float:
    """ρ of an event as zero-concentrated DP; very loose for trainings."""
    return (
        _bound(event).sensitivity ** 2 / (2 * event["sigma"] ** 2)
        if (event["mechanism"] == COUNTS)
        else sampling.of_event(event).rho
    )


def weaker(event: Event, factor: float) -> Event:
    """The same release with `factor` times the noise."""
    noise = "sigma" if event["mechanism"] == COUNTS else "noise_multiplier"
    return {**event, noise: event[noise] * factor}


def largest_fitting(cap: float, event: Event, before: Sequence[Event], delta: float) -> float:
    """The largest epsilon that a release like `event` may have so that the total keeps to `cap`."""
    if not before:
        return cap
    if total_epsilon(before, delta) >= cap:
        return 0.0
    low, high = 0.0, math.log(2.0)
    while total_epsilon((*before, weaker(event, math.exp(high))), delta) > cap:
        low, high = high, high + math.log(2.0)
        if high > math.log(_WEAKEST):
            return 0.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        fits = total_epsilon((*before, weaker(event, math.exp(middle))), delta) <= cap
        low, high = (low, middle) if fits else (middle, high)
    return total_epsilon((weaker(event, math.exp(high)),), delta)


def _of_counts(events: Sequence[Event], delta: float) -> float:
    if not events:
        return 0.0
    composed = zcdp_epsilon(sum(rho(event) for event in events), delta)
    if len(events) > 1:
        return composed
    return min(composed, discrete_epsilon(events[0]["sigma"], _bound(events[0]), delta))


def _of_trainings(events: Sequence[Event], delta: float) -> float:
    runs = [sampling.of_event(event) for event in events]
    if not runs:
        return 0.0
    if len(runs) == 1:
        return runs[0].epsilon(delta)
    # One grid for all: as fine as the quietest needs, as coarse as the loudest can be held.
    spacing = max(min(run.spacing for run in runs), max(run.largest_loss for run in runs) / _POINTS)
    total = runs[0].loss_distribution(spacing)
    for run in runs[1:]:
        total = total.compose(run.loss_distribution(spacing))
    return float(total.get_epsilon_for_delta(delta))


def _bound(event: Event) -> ContributionBound:
    return ContributionBound(*(event[name] for name in ("intervals", "regions", "weight")))
