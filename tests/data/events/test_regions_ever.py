"""At most G regions of a unit, enforced in counting: what one unit adds, removes, and who decides."""

import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from data.bound import Bound
from data.events.config import EventsConfig
from data.events.counting import bounded_counts
from data.events.order import exact_remainders
from data.events.read import Limits, read_events

Event = tuple[Any, int, int]  # person, seconds since START, region
Cells = dict[tuple[int, int], int]

SECONDS, SECRET = 6 * 3600, b"a secret"
START = 1_704_067_200  # Monday 2024-01-01
SLOTS = {"user": 100, "user-week": 28, "user-day": 4}
QUICK = settings(
    max_examples=60, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)


@pytest.fixture(scope="module", autouse=True)
def duck() -> Any:
    return ibis.duckdb.connect()


def counted(engine: Any, events: list[Event], bound: Bound, secret: bytes = SECRET) -> Cells:
    if not events:
        return {}
    frame = pd.DataFrame(events, columns=["person", "time", "region"])
    frame["time"] = pd.to_datetime(START + frame["time"], unit="s")
    counts = bounded_counts(ibis.memtable(frame), bound, seconds=SECONDS, secret=secret)
    found = engine.execute(counts)[["interval", "region", "count"]]
    return {(interval, region): n for interval, region, n in found.itertuples(index=False)}


def unit_of(event: Event, bound: Bound) -> tuple[Any, int]:
    length, origin = bound.span or (2**40, 0)
    interval = (START + event[1]) // SECONDS
    return event[0], (interval * SECONDS - origin) // length


def is_contribution(cells: Cells, bound: Bound) -> bool:
    """Whether one unit may add these counts."""
    by_interval = defaultdict(set)
    for interval, region in cells:
        by_interval[interval].add(region)
    return (
        all(0 < count <= bound.weight for count in cells.values())
        and len(by_interval) <= bound.intervals
        and all(len(regions) <= bound.regions for regions in by_interval.values())
        and len({region for _, region in cells}) <= (bound.regions_ever or 10**9)
    )


def added(whole: Cells, rest: Cells) -> Cells:
    """Counts of `whole` that `rest` lacks; no count of it may be larger."""
    moved = {cell: whole.get(cell, 0) - rest.get(cell, 0) for cell in whole | rest}
    return {cell: count for cell, count in moved.items() if count}


@st.composite
def bounds(draw: Any) -> Bound:
    unit = draw(st.sampled_from(list(SLOTS)))
    regions = draw(st.integers(1, 2))
    intervals, ever = draw(st.integers(1, SLOTS[unit])), draw(st.integers(regions, regions + 1))
    return Bound(unit, intervals, regions, 1, SLOTS[unit], ever)


def events_of(persons: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Event]]:
    row = st.tuples(persons, st.integers(-86400, 8 * 86400), st.integers(0, 5))
    return st.lists(row, min_size=1, max_size=8) | st.lists(row, min_size=20, max_size=40)


NUMBERS, NAMES = st.integers(0, 2), st.sampled_from(["anna", "|", "17"])


@QUICK
@given(events=events_of(NUMBERS) | events_of(NAMES), bound=bounds(), data=st.data())
def test_one_unit_adds_counts_in_at_most_g_regions(
    duck: Any, events: list[Event], bound: Bound, data: st.DataObject
) -> None:
    """Alone, and beside all others: without it the counts are the same, less what it adds."""
    unit = unit_of(data.draw(st.sampled_from(events)), bound)
    alone = counted(duck, [one for one in events if unit_of(one, bound) == unit], bound)
    assert is_contribution(alone, bound)
    rest = counted(duck, [one for one in events if unit_of(one, bound) != unit], bound)
    assert added(counted(duck, events, bound), rest) == alone


@QUICK
@given(events=events_of(NUMBERS), bound=bounds(), data=st.data())
def test_part_of_a_unit_changes_nothing_but_its_own_counts(
    duck: Any, events: list[Event], bound: Bound, data: st.DataObject
) -> None:
    """It may let another region in: what goes and what comes are each within the bound."""
    gone = data.draw(st.sampled_from(events))
    interval = (START + gone[1]) // SECONDS
    rest = [one for one in events if (one[0], (START + one[1]) // SECONDS) != (gone[0], interval)]
    moved = added(counted(duck, events, bound), counted(duck, rest, bound))
    goes = {cell: count for cell, count in moved.items() if count > 0}
    comes = {cell: -count for cell, count in moved.items() if count < 0}
    assert is_contribution(goes, bound)
    assert is_contribution(comes, bound)
    length, origin = bound.span or (2**40, 0)
    for there, _ in moved:
        assert (there * SECONDS - origin) // length == unit_of(gone, bound)[1]


@QUICK
@given(events=events_of(NUMBERS), bound=bounds())
def test_engines_agree(duck: Any, events: list[Event], bound: Bound) -> None:
    """SQLite as well, which has no MD5 for names; PostgreSQL is in test_counting.py."""
    lite = ibis.sqlite.connect()
    exact_remainders(lite)
    assert counted(lite, events, bound) == counted(duck, events, bound)


@QUICK
@given(events=events_of(NUMBERS) | events_of(NAMES), bound=bounds())
def test_as_many_regions_as_were_seen_change_nothing(
    duck: Any, events: list[Event], bound: Bound
) -> None:
    seen = defaultdict(set)
    for one in events:
        seen[unit_of(one, bound)].add(one[2])
    most = max(bound.regions, *map(len, seen.values()), 1)
    numbers = bound.unit, bound.intervals, bound.regions, bound.weight, bound.slots
    assert counted(duck, events, Bound(*numbers, most)) == counted(duck, events, Bound(*numbers))


@pytest.mark.parametrize("text", [False, True])
def test_every_region_is_as_likely_to_be_kept(duck: Any, text: bool) -> None:
    """However often a person is there: the choice reads no count."""
    persons, regions, most = 3000, 5, 2
    often = [(person, slot, 0) for person in range(persons) for slot in range(4)]
    once = [(person, 0, region) for person in range(persons) for region in range(1, regions)]
    rows = [
        (f"p{person}" if text else person, slot * SECONDS, region)
        for person, slot, region in often + once
    ]
    found = counted(duck, rows, Bound("user-day", 4, most, 1, 4, most))
    first = START // SECONDS
    share = np.array([found[first, region] for region in range(regions)]) / persons
    deviation = np.sqrt(most / regions * (1 - most / regions) / persons)
    assert abs(share - most / regions).max() < 5 * deviation
    assert found[first + 1, 0] == found[first, 0]  # the same persons have it all day


def test_days_choose_their_regions_on_their_own(duck: Any) -> None:
    days, regions = 40, 4
    rows = [(1, day * 86400, region) for day in range(days) for region in range(regions)]
    found = counted(duck, rows, Bound("user-day", 4, 1, 1, 4, 1))
    assert len({interval for interval, _ in found}) == len(found) == days
    assert {region for _, region in found} == set(range(regions))
    found = counted(duck, rows, Bound("user", 160, 1, 1, 160, 1))
    assert len({region for _, region in found}) == 1
    assert len(found) == days


def test_within_one_interval_m_is_all_there_is_to_cut(duck: Any) -> None:
    rows = [(person, 0, region) for person in range(50) for region in range(6)]
    with_it = counted(duck, rows, Bound("user-interval", 1, 2, 1, 1, 3))
    assert with_it == counted(duck, rows, Bound("user-interval", 1, 2, 1, 1))


def test_a_file_of_sqlite_is_counted_as_any_other(tmp_path: Path) -> None:
    rows = [
        (person, f"2024-01-0{day} {hour:02}:10:00", "abc"[(person + hour * day) % 3])
        for person in range(40)
        for day in (1, 2)
        for hour in range(24)
    ]
    with closing(sqlite3.connect(tmp_path / "e.db")) as base, base:
        base.execute("CREATE TABLE events (person INT, time TIMESTAMP, place TEXT)")
        base.executemany("INSERT INTO events VALUES (?, ?, ?)", rows)
    frame = pd.DataFrame(rows, columns=["person", "time", "place"])
    frame.assign(time=pd.to_datetime(frame["time"])).to_parquet(tmp_path / "e.parquet")
    config = EventsConfig(
        interval="1h", start="2024-01-01", end="2024-01-03", regions=("a", "b", "c")
    )
    one, other = (
        read_events(source, config, Limits("user-day", 9, 1, 1, 2), secret=SECRET)
        for source in (f"sqlite:///{tmp_path / 'e.db'}#events", str(tmp_path / "e.parquet"))
    )
    pd.testing.assert_frame_equal(one.frame, other.frame)
    assert one.regions_ever == 2
    assert one.frame.iloc[:, 1:].to_numpy().sum() == 40 * 2 * 9
