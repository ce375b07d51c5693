import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dp.accounting.gaussian import discrete_epsilon, gaussian_epsilon, zcdp_epsilon
from dp.budget import Budget
from dp.composition.total import COUNTS, Total, largest_fitting, total, weaker
from dp.mechanisms.count_noise import calibrate
from dp.mechanisms.window_sampling import WindowSampling
from dp.unit.contribution import ContributionBound

DELTA = 1e-6
TRAINING = WindowSampling(300, 60, 200, 5, 40.0)
NOISED = calibrate(Budget(1.0, DELTA), ContributionBound(48, 2)).event()


def counts(sigma: float, intervals: int, weight: int = 1) -> dict[str, Any]:
    return {
        "mechanism": COUNTS,
        "sigma": sigma,
        "intervals": intervals,
        "regions": 1,
        "weight": weight,
    }


def epsilon(*events: dict[str, Any], delta: float = DELTA) -> float:
    return total(list(events)).epsilon(delta)


some_counts = st.builds(counts, st.floats(2, 500), st.integers(1, 5_000), weight=st.integers(1, 3))


def test_one_release_costs_what_it_costs_alone() -> None:
    assert epsilon(TRAINING.event()) == TRAINING.epsilon(DELTA)
    assert epsilon(NOISED) == pytest.approx(1.0, rel=1e-6)
    assert epsilon() == 0.0


@pytest.mark.parametrize(("square", "expected"), [(3456, 1.783), (6912, 2.59), (1, 0.0238)])
def test_check_values_of_the_design(square: int, expected: float) -> None:
    # Whole, and as many releases of a part each: counts of disjoint intervals add up to the panel.
    assert epsilon(counts(160.006, square), delta=1e-7) == pytest.approx(expected, rel=3e-3)
    parts = [
        counts(160.006, len(part)) for part in np.array_split(np.arange(square), 5) if len(part)
    ]
    assert epsilon(*parts, delta=1e-7) == pytest.approx(expected, rel=3e-3)


def test_many_different_releases_cost_what_gaussians_cost() -> None:
    events = [counts(sigma, 48) for sigma in np.linspace(30, 90, 2_000)]
    mu = math.sqrt(sum(48 / event["sigma"] ** 2 for event in events))
    exact = gaussian_epsilon(mu, DELTA)
    assert exact * (1 - 1e-9) <= epsilon(*events) <= exact * 1.003
    assert epsilon(*events) < zcdp_epsilon(mu**2 / 2, DELTA) * 0.999


@pytest.mark.parametrize("sigmas", [(3.0, 4.0), (5.0, 9.0, 9.0), (12.0, 30.0)])
def test_never_below_the_true_loss_of_discrete_noise(sigmas: tuple[float, ...]) -> None:
    """Against every outcome of a count noised several times, enumerated."""
    spread = [np.arange(-int(9 * sigma), int(9 * sigma) + 2) for sigma in sigmas]
    laws = [np.exp(-(grid**2) / (2 * sigma**2)) for grid, sigma in zip(spread, sigmas, strict=True)]
    moved = [
        np.exp(-((grid - 1) ** 2) / (2 * sigma**2))
        for grid, sigma in zip(spread, sigmas, strict=True)
    ]
    here, there = np.ones(1), np.ones(1)
    for law, other in zip(laws, moved, strict=True):
        here = np.outer(here, law / law.sum()).ravel()
        there = np.outer(there, other / law.sum()).ravel()
    composed = total([counts(sigma, 1) for sigma in sigmas])
    for at in (0.1, 0.5, 1.0):
        true = np.maximum(here - math.exp(at) * there, 0).sum()
        assert true <= composed.delta(at) <= true * 2 + 2e-3


@given(st.lists(some_counts, min_size=1, max_size=6), some_counts)
@settings(max_examples=60, deadline=None)
def test_more_never_costs_less_and_order_does_not_matter(
    events: list[Any], more: dict[str, Any]
) -> None:
    assert epsilon(*events, more) >= epsilon(*events) * (1 - 1e-9)
    assert total(events) == total(events[::-1])
    for one in events:
        assert epsilon(*events) >= epsilon(one) * (1 - 0.01)


def test_order_does_not_matter_for_trainings_either() -> None:
    events = [TRAINING.event(), NOISED, WindowSampling(300, 60, 100, 5, 60.0).event()]
    found = {total(list(order)) for order in itertools.permutations(events)}
    assert len({one.epsilon(DELTA) for one in found}) == 1
    assert epsilon(*events) > max(epsilon(*pair) for pair in itertools.combinations(events, 2))


def test_a_total_survives_being_written_down() -> None:
    found = total([TRAINING.event(), NOISED, NOISED, None])
    assert Total.from_json(found.to_json()) == found


def test_totals_of_earlier_versions_are_read() -> None:
    stored = (
        '{"releases": 1, "cells": 3, "mu2": "0", "rho": "7", "loud": 1, "sigma": 1.0, '
        '"trainings": [], "open": 0}'
    )
    assert Total.from_json(stored) == Total(releases=1, cells=3, rho=7, low_noise=1, sigma=1.0)
    assert json.loads(Total.from_json(stored).to_json()) == json.loads(stored)


def test_trainings_compose_as_one_longer_training() -> None:
    longer = WindowSampling(300, 60, 400, 5, 40.0)
    assert epsilon(TRAINING.event(), TRAINING.event()) == pytest.approx(
        longer.epsilon(DELTA), rel=1e-3
    )


def test_trainings_of_different_noise_compose_like_gaussians_without_sampling() -> None:
    runs = [WindowSampling(60, 60, steps, 3, noise) for steps, noise in ((50, 60.0), (100, 90.0))]
    mu = math.sqrt(sum(run.steps * (2 * 3 / run.noise_multiplier) ** 2 for run in runs))
    assert epsilon(*(run.event() for run in runs)) == pytest.approx(
        gaussian_epsilon(mu, DELTA), rel=1e-3
    )


def test_both_kinds_compose_tightly() -> None:
    whole = WindowSampling(60, 60, 100, 3, 60.0)  # every window in every batch: Gaussians
    mu = math.sqrt(100 * (6 / 60.0) ** 2 + 96 / NOISED["sigma"] ** 2)
    both = epsilon(whole.event(), NOISED)
    assert gaussian_epsilon(mu, DELTA) * (1 - 1e-6) <= both
    assert both == pytest.approx(gaussian_epsilon(mu, DELTA), rel=2e-3)
    found = total([whole.event(), NOISED])
    assert found.delta(both) <= DELTA * (1 + 1e-6)


def test_counts_with_hardly_any_noise_stay_safe() -> None:
    low_noise = counts(1.0, 1)
    assert epsilon(low_noise, low_noise) <= zcdp_epsilon(1.0, DELTA) * (1 + 1e-9)
    assert epsilon(low_noise, low_noise) >= discrete_epsilon(1.0, ContributionBound(1, 1), DELTA)
    assert epsilon(low_noise, counts(40.0, 5), TRAINING.event()) > epsilon(TRAINING.event())


def test_a_release_that_promises_nothing_leaves_no_promise() -> None:
    found = total([NOISED, None])
    assert found.epsilon(DELTA) == math.inf
    assert found.delta(100.0) == 1.0
    assert not found.within(Budget(1e6, DELTA))


@pytest.mark.parametrize("event", [TRAINING.event(), NOISED], ids=["training", "counts"])
def test_what_is_left_fits_and_no_more(event: dict[str, Any]) -> None:
    alone = epsilon(event)
    cap = Budget(1.2 * alone, DELTA)
    left = largest_fitting(cap, event, total([event]))
    assert 0 < left < alone
    low, high = 1.0, 10.0
    while high > low * 1.001:
        factor = math.sqrt(low * high)
        low, high = (low, factor) if epsilon(weaker(event, factor)) <= left else (factor, high)
    assert epsilon(event, weaker(event, high)) <= cap.epsilon * 1.001
    assert epsilon(event, weaker(event, high * 0.99)) > cap.epsilon * 0.999
    assert largest_fitting(Budget(alone * 0.9, DELTA), event, total([event])) == 0.0


def test_an_unknown_mechanism_is_refused() -> None:
    with pytest.raises(ValueError, match="magic"):
        total([{"mechanism": "magic"}])
