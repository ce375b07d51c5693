"""What a bound on the regions of a unit costs other units: a part of it may move all of its counts."""

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dp.composition.total import COUNTS
from dp.composition.unit_conversion import event_for_unit, times_of_unit
from dp.ledger import Charge
from dp.mechanisms.window_sampling import WindowSampling
from dp.unit.period import EVER, Period
from dp.unit.privacy_unit import IntervalUnit, PrivacyUnit
from dp.unit.time_grid import TimeGrid

Charges = Callable[..., Charge]
Cell = tuple[int, int]  # interval, region

START, HOUR, REGIONS = datetime(2024, 1, 1), timedelta(hours=1), 4
OBSERVED = 24 * 14
PERIOD = Period(START, START + OBSERVED * HOUR, HOUR)
USER, WEEK, DAY, INTERVAL = (
    PrivacyUnit.USER,
    PrivacyUnit.USER_WEEK,
    PrivacyUnit.USER_DAY,
    PrivacyUnit.USER_INTERVAL,
)
LENGTHS = {USER: OBSERVED, WEEK: 24 * 7, DAY: 24, INTERVAL: 1}


def event(intervals: int, at_once: int, **panel: Any) -> dict[str, Any]:
    known: dict[str, Any] = {"observed": OBSERVED, "interval_seconds": 3600.0, "regions": REGIONS}
    known |= {"intervals_per_unit": None, "enforced": True, **panel}
    numbers = {"intervals": intervals, "regions": at_once, "weight": 1}
    return {"mechanism": COUNTS, "sigma": 60.0, **numbers, "panel": known}


def cost(unit: Any, asked: Charge) -> int:
    """M·K of a unit, the squared sensitivity that it is charged for."""
    found = event_for_unit(unit, asked, TimeGrid().plus(asked.period, asked.timezone))
    assert found is not None
    return int(found["intervals"]) * int(found["regions"])


def counted(records: set[Cell], length: int, limits: tuple[int, int, int], seed: int) -> set[Cell]:
    """Cells that are counted of one person: at most G regions, then M at once, then K intervals."""
    most, at_once, intervals = limits
    units = defaultdict(set)
    for cell in records:
        units[cell[0] // length].add(cell)

    def first(values: set[Any], number: int, *what: Any) -> set[Any]:
        order = {one: random.Random(f"{seed} {what} {one}").random() for one in sorted(values)}
        return set(sorted(values, key=order.__getitem__)[:number])

    kept = set()
    for unit, cells in units.items():
        there = first({region for _, region in cells}, most, "ever", unit)
        by_interval = defaultdict(set)
        for interval, region in cells:
            if region in there:
                by_interval[interval].add(region)
        for interval in first(set(by_interval), intervals, "interval"):
            kept |= {
                (interval, region) for region in first(by_interval[interval], at_once, interval)
            }
    return kept


@settings(max_examples=150, deadline=None)
@given(
    own=st.sampled_from([USER, WEEK, DAY]),
    unit=st.sampled_from([USER, WEEK, DAY, INTERVAL]),
    at_once=st.integers(1, 2),
    most=st.integers(2, 3),
    limit=st.none() | st.integers(1, 40),
    records=st.sets(st.tuples(st.integers(0, OBSERVED - 1), st.integers(0, 3)), min_size=1),
    often=st.booleans(),
    removed=st.integers(0, 10**6),
    seed=st.integers(0, 5),
)
@example(USER, INTERVAL, 1, 1, None, {(0, 0), (1, 1)}, True, 0, 1)
@example(USER, INTERVAL, 1, 1, None, {(0, 1), (1, 0)}, True, 0, 1)
def test_no_neighbour_changes_more_than_is_charged(
    charge: Charges,
    own: PrivacyUnit,
    unit: PrivacyUnit,
    at_once: int,
    most: int,
    limit: int | None,
    records: set[Cell],
    often: bool,
    removed: int,
    seed: int,
) -> None:
    """Oracle: take one unit out of a person's records, count again under G, M and K, and compare."""
    span, length = LENGTHS[unit], LENGTHS[own]
    gone = sorted(records)[removed % len(records)][0] // span
    if often:  # in two regions all the time but for the unit, which has a third one
        records = {(interval, region) for interval in range(OBSERVED) for region in (0, 1)}
        records |= {(gone * span, 2)}
    kept = min(limit or length, length)
    asked = charge(
        event(kept, at_once, intervals_per_unit=limit, regions_ever=most), unit=own, period=PERIOD
    )
    less = {cell for cell in records if cell[0] // span != gone}
    limits = most, at_once, kept
    changed = counted(records, length, limits, seed) ^ counted(less, length, limits, seed)
    assert len(changed) <= cost(unit, asked)


def test_a_part_of_a_unit_costs_two_whole_ones(charge: Charges) -> None:
    asked = charge(event(OBSERVED, 1, regions_ever=2), unit=USER, period=PERIOD)
    assert [cost(unit, asked) for unit in (USER, WEEK, DAY, INTERVAL)] == [
        OBSERVED,
        *(3 * (2 * OBSERVED,)),
    ]
    cut = charge(event(40, 2, intervals_per_unit=40, regions_ever=2), unit=USER, period=PERIOD)
    assert [cost(unit, cut) for unit in (USER, DAY, INTERVAL)] == [80, 160, 160]
    daily = charge(event(24, 1, regions_ever=2), unit=DAY, period=PERIOD)
    assert [cost(unit, daily) for unit in (USER, WEEK, DAY, INTERVAL)] == [OBSERVED, 168, 24, 48]


@pytest.mark.parametrize("most", [None, REGIONS])
def test_all_regions_are_no_choice(charge: Charges, most: int | None) -> None:
    asked = charge(event(OBSERVED, 1, regions_ever=most), unit=USER, period=PERIOD)
    assert [cost(unit, asked) for unit in (USER, DAY, INTERVAL)] == [OBSERVED, 24, 1]
    one = charge(event(1, 1, regions_ever=1), unit=INTERVAL, period=PERIOD)
    assert [cost(unit, one) for unit in (DAY, INTERVAL)] == [24, 1]


def test_what_was_chosen_at_the_source_reaches_other_releases(charge: Charges) -> None:
    given_counts = event(OBSERVED, 1, regions_ever=2, enforced=False)
    asked = charge(given_counts, unit=USER, period=PERIOD)
    assert times_of_unit(DAY, asked, TimeGrid().plus(PERIOD, None)) == EVER


def test_trainings_are_charged_for_what_moves(charge: Charges) -> None:
    run = WindowSampling(300, 50, 100, 24 * 7, 300.0).event()
    run["panel"] = {
        "observed": OBSERVED,
        "interval_seconds": 3600.0,
        "regions": 3,
        "regions_per_interval": 1,
        "lags": 6,
        "seasonal": [],
        "horizon": 1,
        "distance": 2,
        "intervals_per_unit": None,
        "enforced": True,
        "regions_ever": 1,
    }
    run["aside"] = {"sigma": 50.0, "cells": 4}
    grid = TimeGrid().plus(PERIOD, None)
    asked = charge(run, unit=DAY, period=PERIOD)
    hits = [event_for_unit(unit, asked, grid) for unit in (DAY, INTERVAL, IntervalUnit(1))]
    # an interval may move all windows of its day, and pairs into another region
    assert [one and one["hit"] for one in hits] == [168, 300, 300]
    assert [one and one["aside"]["cells"] for one in hits][1] == 4 * 2 * 48**2
