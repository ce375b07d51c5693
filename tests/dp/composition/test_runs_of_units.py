"""Noise on runs: what other units pay, against people whose runs are cut and counted anew."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dp.budget import Budget
from dp.composition.total import Total, weaker
from dp.composition.unit_conversion import event_for_unit, times_of_unit
from dp.ledger import Charge
from dp.mechanisms.count_noise import calibrate
from dp.mechanisms.run_design import least_run_noise
from dp.mechanisms.run_noise import RunNoise, cost_of, filtered
from dp.unit.contribution import ContributionBound
from dp.unit.period import Period
from dp.unit.privacy_unit import IntervalUnit, PrivacyUnit
from dp.unit.run_set import RunSet
from dp.unit.time_grid import TimeGrid

STEP, START = timedelta(hours=3), datetime(2024, 1, 1)  # a Monday
SLOTS, DAYS, REGIONS, RUNS = 8, 14, 3, 2
OBSERVED = SLOTS * DAYS
USER, WEEK, DAY = PrivacyUnit.USER, PrivacyUnit.USER_WEEK, PrivacyUnit.USER_DAY
INTERVAL = PrivacyUnit.USER_INTERVAL
LENGTH = {USER: OBSERVED, WEEK: SLOTS * 7, DAY: SLOTS, INTERVAL: 1}
BUDGET = Budget(1.0, 1e-7)
NOWHERE = -1


def design(own: PrivacyUnit, most: int | None = None) -> RunNoise:
    bound = ContributionBound(most or LENGTH[own], 1)
    return least_run_noise(BUDGET, RunSet(bound, REGIONS, RUNS * LENGTH[own] // SLOTS), OBSERVED)


def charge(own: PrivacyUnit, most: int | None = None, clock: str | None = None) -> Charge:
    known = {
        "observed": OBSERVED,
        "interval_seconds": 3 * 3600.0,
        "regions": REGIONS,
        "intervals_per_unit": most,
        "runs_per_day": RUNS,
        "enforced": True,
    }
    return Charge(
        key="k",
        dataset="city",
        fingerprint="f",
        period=Period(START, START + OBSERVED * STEP, STEP),
        unit=own,
        epsilon=1.0,
        delta=1e-7,
        event={**design(own, most).event(), "panel": known},
        purpose="panel",
        timezone=clock,
    )


def grid_of(*charges: Charge) -> TimeGrid:
    grid = TimeGrid()
    for one in charges:
        grid = grid.plus(one.period, one.timezone)
    return grid


def counted(places: NDArray[np.int64], own: PrivacyUnit, most: int | None, seed: int) -> np.ndarray:
    """What is counted of a person: whole runs by a random order, few a day and few intervals a unit."""
    order = np.random.default_rng(seed).random((OBSERVED, REGIONS))
    kept = np.zeros((OBSERVED, REGIONS), dtype=np.int64)
    runs = []
    for day in range(DAYS):
        start, of_day = day * SLOTS, []
        for place, stretch in groupby(places[start : start + SLOTS]):
            length = len(list(stretch))
            if place != NOWHERE:
                of_day.append((order[start, place], start, length, place))
            start += length
        runs += sorted(of_day)[:RUNS]
    left = dict.fromkeys(range(OBSERVED), most or OBSERVED)
    for _, start, length, place in sorted(runs):
        unit = start // LENGTH[own]
        left[unit] -= length
        if left[unit] >= 0:
            kept[start : start + length, place] = 1
    return kept


@settings(max_examples=300, deadline=None)
@given(
    own=st.sampled_from([USER, WEEK, DAY]),
    unit=st.sampled_from(list(LENGTH)),
    place=st.integers(0, OBSERVED - 1),
    most=st.sampled_from([None, 3]),
    seed=st.integers(0, 10_000),
    stay=st.floats(0.0, 0.95),
)
def test_no_unit_costs_more_than_it_is_charged(
    own: PrivacyUnit, unit: PrivacyUnit, place: int, most: int | None, seed: int, stay: float
) -> None:
    random, length = np.random.default_rng(seed), LENGTH[unit]
    places = random.integers(NOWHERE, REGIONS, OBSERVED)
    for time in range(1, OBSERVED):
        if random.random() < stay:
            places[time] = places[time - 1]
    first = place // length * length
    without = places.copy()
    without[first : first + length] = NOWHERE
    change = counted(places, own, most, seed) - counted(without, own, most, seed)
    asked = charge(own, most)
    found = event_for_unit(unit, asked, grid_of(asked))
    assert found is not None
    noise = design(own, most)
    cost = np.sum(filtered(change, noise.taps) ** 2.0) / (noise.sigma * noise.grid) ** 2
    assert cost <= cost_of(found)[0]


def test_a_longer_unit_pays_for_each_of_its_own_units() -> None:
    asked = charge(DAY)
    one = cost_of(asked.event)[0]
    for unit, days in ((DAY, 1), (WEEK, 7), (USER, DAYS)):
        found = event_for_unit(unit, asked, grid_of(asked))
        assert found is not None
        assert cost_of(found)[0] == pytest.approx(days * one)
    assert event_for_unit(DAY, asked, grid_of(asked)) == asked.event


@pytest.mark.parametrize(("unit", "days"), [(WEEK, 7), (DAY, 1)])
def test_a_shorter_unit_pays_for_its_days(unit: PrivacyUnit, days: int) -> None:
    asked = charge(USER)
    found = event_for_unit(unit, asked, grid_of(asked))
    assert found is not None
    assert cost_of(found)[0] == pytest.approx(cost_of(asked.event)[0] * days / DAYS)
    assert times_of_unit(unit, asked, grid_of(asked)) == asked.period.unit_range(unit)


@pytest.mark.parametrize("own", [USER, WEEK, DAY])
def test_one_interval_pays_for_what_is_coupled_with_it(own: PrivacyUnit) -> None:
    asked = charge(own)
    found = event_for_unit(INTERVAL, asked, grid_of(asked))
    assert found is not None
    day = event_for_unit(DAY, asked, grid_of(asked))
    assert day is not None
    assert cost_of(day)[0] < cost_of(found)[0] <= 4 * cost_of(day)[0]


def test_independent_noise_pays_for_what_is_coupled_with_it() -> None:
    asked = charge(USER)
    noise = calibrate(BUDGET, ContributionBound(OBSERVED, 1))
    event = {**noise.event(), "panel": asked.event["panel"]}
    plain = Charge(**{**vars(asked), "event": event})
    for unit, intervals in ((DAY, SLOTS), (WEEK, 7 * SLOTS), (INTERVAL, SLOTS)):
        found = event_for_unit(unit, plain, grid_of(plain))
        assert found is not None
        assert found["intervals"] == intervals


def test_by_another_clock_nothing_but_the_norm_is_relied_on() -> None:
    asked, other = charge(DAY, clock="UTC"), charge(DAY, clock="Pacific/Auckland")
    found = event_for_unit(DAY, asked, grid_of(asked, other))
    assert found is not None
    assert found["apart"] >= 2 * SLOTS


def test_runs_that_were_cut_elsewhere_reach_other_releases() -> None:
    asked = charge(WEEK)
    event = {**asked.event, "panel": {**asked.event["panel"], "enforced": False}}
    elsewhere = Charge(**{**vars(asked), "event": event})
    found = event_for_unit(DAY, elsewhere, grid_of(elsewhere))
    assert found is not None
    assert cost_of(found)[0] >= cost_of(asked.event)[0]


def test_everybody_in_an_interval_has_no_guarantee() -> None:
    asked = charge(USER)
    assert event_for_unit(IntervalUnit(1), asked, grid_of(asked)) is None


def test_it_composes_with_other_noise_and_can_be_weakened() -> None:
    event = charge(USER).event
    independent = calibrate(BUDGET, ContributionBound(OBSERVED, 1)).event()
    once = Total().plus(event)
    both = once.plus(independent)
    assert once.epsilon(1e-7) == pytest.approx(1.0, rel=1e-4)
    assert both.epsilon(1e-7) == pytest.approx(
        Total().plus(independent).plus(independent).epsilon(1e-7), rel=1e-3
    )
    assert Total.from_json(both.to_json()) == both
    assert 0.4 < Total().plus(weaker(event, 2.0)).epsilon(1e-7) < 0.6
