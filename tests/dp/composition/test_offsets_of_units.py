"""Shared offsets: what other units pay, against the covariance of the whole panel."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dp.budget import Budget
from dp.composition.total import Total, weaker
from dp.composition.unit_conversion import event_for_unit
from dp.ledger import Charge
from dp.mechanisms.count_noise import calibrate
from dp.mechanisms.design import least_noise
from dp.mechanisms.offset_noise import OffsetNoise, cost_of
from dp.unit.contribution import ContributionBound
from dp.unit.contribution_set import ContributionSet
from dp.unit.period import Period
from dp.unit.privacy_unit import IntervalUnit, PrivacyUnit
from dp.unit.time_grid import TimeGrid

HOUR, START = timedelta(hours=1), datetime(2024, 1, 1)  # a Monday
DAYS, REGIONS = 14, 3
OBSERVED = 24 * DAYS
USER, WEEK, DAY = PrivacyUnit.USER, PrivacyUnit.USER_WEEK, PrivacyUnit.USER_DAY
LENGTH = {USER: OBSERVED, WEEK: 24 * 7, DAY: 24, PrivacyUnit.USER_INTERVAL: 1}
BUDGET = Budget(1.0, 1e-7)


def design(own: PrivacyUnit) -> OffsetNoise:
    unit = ContributionSet(ContributionBound(LENGTH[own], 1), REGIONS, ever=2)
    noise = least_noise(BUDGET, unit, per=own, cells=LENGTH[own])
    assert isinstance(noise, OffsetNoise)
    return noise


def charge(own: PrivacyUnit, clock: str | None = None) -> Charge:
    known = {
        "observed": OBSERVED,
        "interval_seconds": 3600.0,
        "regions": REGIONS,
        "intervals_per_unit": None,
        "enforced": False,
    }
    return Charge(
        key="k",
        dataset="city",
        fingerprint="f",
        period=Period(START, START + OBSERVED * HOUR, HOUR),
        unit=own,
        epsilon=1.0,
        delta=1e-7,
        event={**design(own).event(), "panel": known},
        purpose="panel",
        timezone=clock,
    )


def grid_of(*charges: Charge) -> TimeGrid:
    grid = TimeGrid()
    for one in charges:
        grid = grid.plus(one.period, one.timezone)
    return grid


def exact(own: PrivacyUnit, places: np.ndarray) -> float:
    """dᵀΛd of a person who is in region `places[t]` in interval t, nowhere where it is negative."""
    noise, length = design(own), LENGTH[own]
    count = noise.sigma**2
    share = noise.offset**2 / (count + length * noise.offset**2)
    total = 0.0
    for region in range(REGIONS):
        groups = (places == region).reshape(-1, length)
        total += sum(ones - share * ones**2 for ones in groups.sum(axis=1)) / count
    return total


@settings(max_examples=200, deadline=None)
@given(
    own=st.sampled_from([USER, WEEK, DAY]),
    unit=st.sampled_from(list(LENGTH)),
    start=st.integers(0, DAYS - 1),
    seed=st.integers(0, 10_000),
    present=st.floats(0.0, 1.0),
)
def test_no_unit_costs_more_than_it_is_charged(
    own: PrivacyUnit, unit: PrivacyUnit, start: int, seed: int, present: float
) -> None:
    random, length = np.random.default_rng(seed), LENGTH[unit]
    places = np.full(OBSERVED, -1)
    first = start * 24 // length * length
    here = np.arange(first, min(first + length, OBSERVED))
    # two regions of each own unit, as was declared
    own_unit = here // LENGTH[own]
    pairs = np.array([random.permutation(REGIONS)[:2] for _ in range(OBSERVED // LENGTH[own])])
    where = pairs[own_unit, random.integers(0, 2, len(here))]
    places[here] = np.where(random.random(len(here)) < present, where, -1)
    asked = charge(own)
    found = event_for_unit(unit, asked, grid_of(asked))
    assert found is not None
    assert exact(own, places) <= cost_of(found)[0] * (1 + 1e-9)


@pytest.mark.parametrize("own", [USER, WEEK])
def test_a_shorter_unit_pays_more_than_under_independent_noise(own: PrivacyUnit) -> None:
    asked = charge(own)
    found = event_for_unit(DAY, asked, grid_of(asked))
    independent = calibrate(BUDGET, design(own).bound)
    before = Total().plus({**independent.event(), "intervals": 24}).epsilon(1e-7)
    after = Total().plus(found).epsilon(1e-7)
    assert before * 1.2 < after < 1.0


def test_a_longer_unit_pays_for_each_of_its_groups() -> None:
    asked = charge(DAY)
    one = cost_of(asked.event)[0]
    week = event_for_unit(WEEK, asked, grid_of(asked))
    user = event_for_unit(USER, asked, grid_of(asked))
    assert week is not None
    assert user is not None
    assert cost_of(week)[0] == pytest.approx(7 * one)
    assert cost_of(user)[0] == pytest.approx(DAYS * one)
    assert event_for_unit(DAY, asked, grid_of(asked)) == asked.event


def test_by_another_clock_offsets_are_not_relied_on() -> None:
    asked, other = charge(DAY, "UTC"), charge(DAY, "Pacific/Auckland")
    found = event_for_unit(DAY, asked, grid_of(asked, other))
    assert found is not None
    assert found["apart"]
    # a day by the other clock may lie in two groups
    assert cost_of(found)[0] >= exact(DAY, np.where(np.arange(OBSERVED) // 24 == 3, 0, -1))


def test_everybody_in_an_interval_has_no_guarantee() -> None:
    asked = charge(USER)
    assert event_for_unit(IntervalUnit(1), asked, grid_of(asked)) is None


def test_it_composes_with_other_noise_and_can_be_weakened() -> None:
    event = charge(USER).event
    independent = calibrate(BUDGET, design(USER).bound).event()
    once = Total().plus(event)
    both = once.plus(independent)
    assert once.epsilon(1e-7) == pytest.approx(1.0, rel=1e-4)
    assert both.epsilon(1e-7) == pytest.approx(
        Total().plus(independent).plus(independent).epsilon(1e-7), rel=1e-3
    )
    assert both == Total().plus(independent).plus(event)
    assert Total.from_json(both.to_json()) == both
    half = Total().plus(weaker(event, 2.0)).epsilon(1e-7)
    assert 0.4 < half < 0.6
