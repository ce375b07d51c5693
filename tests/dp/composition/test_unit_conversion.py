"""What a release costs other units: never less than what neighbours of that unit really change."""

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dp.composition.total import COUNTS
from dp.composition.unit_conversion import event_for_unit, times_of_unit
from dp.ledger import Charge
from dp.mechanisms.window_sampling import WindowSampling
from dp.unit.period import EVER, Period
from dp.unit.privacy_unit import IntervalUnit, PrivacyUnit
from dp.unit.time_grid import UNRECORDED, TimeGrid

Charges = Callable[..., Charge]
HOUR = timedelta(hours=1)
START = datetime(2024, 1, 1)  # a Monday
USER, WEEK, DAY, INTERVAL = (
    PrivacyUnit.USER,
    PrivacyUnit.USER_WEEK,
    PrivacyUnit.USER_DAY,
    PrivacyUnit.USER_INTERVAL,
)


def event(intervals: int, observed: int, seconds: float, **panel: Any) -> dict[str, Any]:
    return {
        "mechanism": COUNTS,
        "sigma": 60.0,
        "intervals": intervals,
        "regions": 1,
        "weight": 1,
        "panel": {
            "observed": observed,
            "interval_seconds": seconds,
            "regions": 2,
            "intervals_per_unit": None,
            "enforced": False,
            **panel,
        },
    }


def cost(unit: Any, asked: Charge, grid: TimeGrid | None = None) -> int:
    grid = TimeGrid().plus(asked.period, asked.timezone) if grid is None else grid
    found = event_for_unit(unit, asked, grid)
    assert found is not None
    return int(found["intervals"])


def counted(records: set[int], limit: int, length: int, seed: int) -> set[int]:
    """Intervals of one person that are counted: at most `limit` of each unit of `length` intervals.

    Which ones is decided by a fixed order of all intervals, as in counting events.
    """
    order = list(range(24 * 28))
    random.Random(seed).shuffle(order)
    rank = {interval: place for place, interval in enumerate(order)}
    units = defaultdict(list)
    for interval in sorted(records, key=rank.__getitem__):
        units[interval // length].append(interval)
    return {interval for unit in units.values() for interval in unit[:limit]}


@settings(max_examples=150, deadline=None)
@given(
    own=st.sampled_from([(USER, 24 * 28), (WEEK, 24 * 7), (DAY, 24)]),
    unit=st.sampled_from([(USER, 24 * 28), (WEEK, 24 * 7), (DAY, 24), (INTERVAL, 1)]),
    limit=st.integers(1, 170),
    records=st.sets(st.integers(0, 24 * 28 - 1), max_size=400),
    removed=st.integers(0, 24 * 28 - 1),
    seed=st.integers(0, 5),
)
def test_no_neighbour_changes_more_than_is_charged(
    charge: Charges,
    own: tuple[PrivacyUnit, int],
    unit: tuple[PrivacyUnit, int],
    limit: int,
    records: set[int],
    removed: int,
    seed: int,
) -> None:
    """Oracle: take one unit out of a person's records, count again under K, and compare."""
    observed, (mine, length), (theirs, span) = 24 * 28, own, unit
    kept = min(limit, length)
    panel = {"intervals_per_unit": limit, "enforced": True}
    asked = charge(
        event(kept, observed, 3600.0, **panel),
        unit=mine,
        period=Period(START, START + timedelta(days=28), HOUR),
    )
    less = {interval for interval in records if interval // span != removed // span}
    changed = counted(records, kept, length, seed) ^ counted(less, kept, length, seed)
    assert len(changed) <= cost(theirs, asked)
    first, last = times_of_unit(theirs, asked, TimeGrid().plus(asked.period, None))
    start = int(START.replace(tzinfo=UTC).timestamp()) + removed // span * span * 3600
    assert first <= start < last


@settings(max_examples=150, deadline=None)
@given(
    own=st.sampled_from([(USER, 24 * 7), (WEEK, 24 * 7), (DAY, 24)]),
    unit=st.sampled_from([(WEEK, 24 * 7), (DAY, 24), (INTERVAL, 1)]),
    piece=st.sampled_from([1, 2, 7, 24, 24 * 7]),
    limit=st.integers(1, 30),
    records=st.sets(st.integers(0, 24 * 7 - 1), min_size=1, max_size=100),
    removed=st.integers(0, 99),
    seed=st.integers(0, 5),
)
def test_what_was_cut_at_the_source_is_coupled_across_short_releases(
    charge: Charges,
    own: tuple[PrivacyUnit, int],
    unit: tuple[PrivacyUnit, int],
    piece: int,
    limit: int,
    records: set[int],
    removed: int,
    seed: int,
) -> None:
    """Oracle: take one unit out of records that were cut before they were released in pieces."""
    (mine, length), (theirs, span), total = own, unit, 24 * 7
    charges = [
        charge(
            event(min(limit, piece, length), piece, 3600.0, intervals_per_unit=limit),
            unit=mine,
            period=Period(START + at * HOUR, START + (at + piece) * HOUR, HOUR),
        )
        for at in range(0, total, piece)
    ]
    grid = TimeGrid()
    for one in charges:
        grid = grid.plus(one.period, None)
    gone = sorted(records)[removed % len(records)] // span
    less = {interval for interval in records if interval // span != gone}
    changed = counted(records, limit, length, seed) ^ counted(less, limit, length, seed)
    start = int(START.replace(tzinfo=UTC).timestamp()) + gone * span * 3600
    reached = [
        one
        for one in charges
        if times_of_unit(theirs, one, grid)[0] <= start < times_of_unit(theirs, one, grid)[1]
    ]
    assert len(changed) <= sum(cost(theirs, one, grid) for one in reached)


def test_a_day_under_a_bound_for_the_whole_panel_changes_twice_what_it_has(
    charge: Charges,
) -> None:
    period = Period(START, START + timedelta(days=28), timedelta(minutes=30))
    for panel in ({"intervals_per_unit": 160, "enforced": True}, {"intervals_per_unit": 160}):
        asked = charge(event(160, 1344, 1800.0, **panel), unit=USER, period=period)
        assert cost(DAY, asked) == 96
        assert cost(INTERVAL, asked) == 2
        assert cost(USER, asked) == 160
    # cut at the source, a day moves intervals of all releases and not of this one alone
    assert times_of_unit(DAY, asked, TimeGrid().plus(period, None)) == EVER
    # from before it was kept whether anything was cut
    old = charge(event(160, 1344, 1800.0), unit=USER, period=period)
    old.event["panel"].pop("intervals_per_unit")
    assert cost(DAY, old) == 96


def test_trainings_are_coupled_by_a_bound_as_well(charge: Charges) -> None:
    run = WindowSampling(3000, 500, 100, 160 * 7, 300.0).event()
    run["panel"] = {
        "observed": 3120,
        "interval_seconds": 1800.0,
        "regions": 6,
        "regions_per_interval": 2,
        "lags": 6,
        "seasonal": [],
        "horizon": 1,
        "distance": 3121,
        "intervals_per_unit": 160,
        "enforced": True,
    }
    run["aside"] = {"sigma": 50.0, "cells": 8}
    asked = charge(run, unit=USER)
    grid = TimeGrid().plus(asked.period, None)
    hits = {
        unit: event_for_unit(unit, asked, grid) for unit in (USER, DAY, INTERVAL, IntervalUnit(1))
    }
    # own intervals reach windows together, the others wherever they are
    assert [found and found["hit"] for found in hits.values()] == [1120, 54 + 48 * 7, 14, 3000]
    assert [found and found["aside"]["cells"] for found in hits.values()] == [8, 8, 8, 24]
    run["panel"]["distance"] = 2
    cells = event_for_unit(INTERVAL, asked, grid)
    assert cells is not None
    assert cells["aside"]["cells"] == 4 * 2 * 2**2  # its own pair, and another one's


def test_an_interval_is_as_long_as_the_longest_that_was_released(charge: Charges) -> None:
    days = Period(START, START + timedelta(days=28), timedelta(days=1))
    halves = Period(START, START + timedelta(days=28), timedelta(minutes=30))
    daily = charge(event(1, 28, 86400.0), unit=INTERVAL, period=days)
    fine = charge(event(1, 1344, 1800.0), unit=INTERVAL, period=halves)
    for order in ((daily, fine), (fine, daily)):
        grid = TimeGrid()
        for one in order:
            grid = grid.plus(one.period, None)
        assert not grid.uniform
        assert cost(INTERVAL, fine, grid) == 48
        assert cost(INTERVAL, daily, grid) == 1
        assert times_of_unit(INTERVAL, fine, grid) == times_of_unit(INTERVAL, daily, grid)
    run = WindowSampling(1000, 100, 10, 7, 30.0).event()
    run["panel"] = {
        "observed": 1344,
        "interval_seconds": 1800.0,
        "regions": 2,
        "regions_per_interval": 1,
        "lags": 6,
        "seasonal": [],
        "horizon": 1,
        "distance": 2,
    }
    trained = charge(run, unit=IntervalUnit(1), period=halves)
    found = event_for_unit(IntervalUnit(1), trained, grid)
    assert found is not None
    assert found["hit"] == 6 + 49


def test_a_shifted_day_touches_two_of_the_clock(charge: Charges) -> None:
    late = Period(START.replace(hour=4), START + timedelta(days=28, hours=4), timedelta(days=1))
    asked = charge(event(1, 28, 86400.0), unit=DAY, period=late)  # as it was once charged
    assert cost(DAY, asked) == 2
    first, last = times_of_unit(DAY, asked, TimeGrid().plus(late, None))
    assert (last - first) // 86400 == 29


def test_by_two_clocks_nothing_is_parallel(charge: Charges) -> None:
    asked = charge(event(48, 96, 1800.0), unit=DAY, timezone="UTC")
    grid = TimeGrid().plus(asked.period, "UTC").plus(asked.period, "Asia/Tokyo")
    assert times_of_unit(DAY, asked, grid) == EVER
    assert cost(DAY, asked, grid) == 49
    cut = charge(
        event(10, 96, 1800.0, intervals_per_unit=10, enforced=True), unit=DAY, timezone="UTC"
    )
    assert cost(DAY, cut, grid) == 40  # a day there holds parts of two days here
    days = Period(START, START + timedelta(days=28), timedelta(days=1))
    daily = charge(event(28, 28, 86400.0), unit=USER, period=days, timezone="UTC")
    both = TimeGrid().plus(days, "UTC").plus(days, "Asia/Tokyo")
    assert cost(INTERVAL, daily, both) == 2  # one interval here meets two by the other clock
    before = TimeGrid().plus(asked.period, UNRECORDED)
    assert before.plus(asked.period, "UTC").clocks == ("UTC",)
    assert before.plus(asked.period, "UTC").plus(asked.period, UNRECORDED).one_clock


TOKYO = "Asia/Tokyo"


@pytest.mark.parametrize(
    "order",
    [
        (UNRECORDED, TOKYO),
        (TOKYO, UNRECORDED),
        (TOKYO, UNRECORDED, "UTC"),
        (UNRECORDED, TOKYO, None),
    ],
)
def test_a_clock_that_was_not_kept_is_no_other_zone(order: tuple[str | None, ...]) -> None:
    """It was that of UTC or of the source: zones that are named were kept in the recipe."""
    grid = TimeGrid()
    for clock in order:
        grid = grid.plus(Period(START, START + HOUR, HOUR), clock)
    assert len(grid.clocks) == 2


@pytest.mark.parametrize(
    "grid",
    [
        TimeGrid(),
        TimeGrid().plus(Period(START, START + HOUR, HOUR), None),
        TimeGrid(("UTC", None), HOUR, None, False),
    ],
)
def test_a_grid_survives_being_written_down(grid: TimeGrid) -> None:
    assert TimeGrid.from_json(grid.to_json()) == grid
