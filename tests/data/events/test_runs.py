"""At most r runs of a day, enforced in counting: whole runs, what one unit adds, and who decides."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from data.bound import Bound, enforceable
from data.errors import BoundError
from data.events.config import EventsConfig
from data.events.counting import bounded_counts
from data.events.order import exact_remainders
from data.events.read import Limits, read_events

Event = tuple[Any, int, int]  # person, seconds since START, region
Cells = dict[tuple[int, int], int]

SECONDS, DAY, SECRET = 3 * 3600, 86400, b"a secret"
START = 1_704_067_200  # Monday 2024-01-01
SLOTS = {"user": 100, "user-week": 56, "user-day": 8}
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


def runs_of(cells: Cells) -> dict[int, list[list[tuple[int, int]]]]:
    """Runs of one person by day."""
    days: dict[int, list[list[tuple[int, int]]]] = defaultdict(list)
    for interval, region in sorted(cells):
        runs = days[interval * SECONDS // DAY]
        if runs and runs[-1][-1] == (interval - 1, region):
            runs[-1].append((interval, region))
        else:
            runs.append([(interval, region)])
    return days


def is_contribution(cells: Cells, bound: Bound) -> bool:
    """Whether one unit may add these counts."""
    most = bound.runs_per_day or 0
    return (
        all(count == 1 for count in cells.values())
        and len(cells) <= bound.intervals
        and len({interval for interval, _ in cells}) == len(cells)
        and all(len(runs) <= most for runs in runs_of(cells).values())
        and len({region for _, region in cells}) <= (bound.regions_ever or 10**9)
    )


def added(whole: Cells, rest: Cells) -> Cells:
    """Counts of `whole` that `rest` lacks."""
    moved = {cell: whole.get(cell, 0) - rest.get(cell, 0) for cell in whole | rest}
    return {cell: count for cell, count in moved.items() if count}


@st.composite
def bounds(draw: Any, cut: bool = True) -> Bound:
    unit = draw(st.sampled_from(list(SLOTS)))
    slots = SLOTS[unit]
    intervals = draw(st.integers(1, slots)) if cut else slots
    ever = draw(st.sampled_from([None, 1, 2])) if cut else None
    return Bound(unit, intervals, 1, 1, slots, ever, draw(st.integers(1, 3)))


@st.composite
def events_of(draw: Any, persons: st.SearchStrategy[Any]) -> list[Event]:
    """People who stay where they are for a while."""
    rows = []
    stay = st.tuples(persons, st.integers(-8, 64), st.integers(1, 6), st.integers(0, 3))
    for person, first, length, region in draw(st.lists(stay, min_size=1, max_size=14)):
        rows += [(person, (first + step) * SECONDS + 7, region) for step in range(length)]
    return rows


NUMBERS, NAMES = st.integers(0, 1), st.sampled_from(["anna", "17"])


@QUICK
@given(events=events_of(NUMBERS) | events_of(NAMES), bound=bounds(), data=st.data())
def test_one_unit_adds_few_runs_and_nothing_else(
    duck: Any, events: list[Event], bound: Bound, data: st.DataObject
) -> None:
    """Alone, and beside all others: without it the counts are the same, less what it adds."""
    unit = unit_of(data.draw(st.sampled_from(events)), bound)
    alone = counted(duck, [one for one in events if unit_of(one, bound) == unit], bound)
    assert is_contribution(alone, bound)
    rest = counted(duck, [one for one in events if unit_of(one, bound) != unit], bound)
    assert added(counted(duck, events, bound), rest) == alone


@QUICK
@given(events=events_of(st.just(1)), bound=bounds(cut=False))
def test_runs_are_counted_whole_or_not_at_all(duck: Any, events: list[Event], bound: Bound) -> None:
    kept = counted(duck, events, bound)
    numbers = bound.unit, bound.intervals, bound.regions, bound.weight, bound.slots
    seen = runs_of(counted(duck, events, Bound(*numbers)))
    for day, runs in seen.items():
        whole = [run for run in runs if all(cell in kept for cell in run)]
        cut = [run for run in runs if not any(cell in kept for cell in run)]
        assert len(whole) + len(cut) == len(runs)
        assert len(whole) == min(len(runs), bound.runs_per_day or 0), day


@QUICK
@given(events=events_of(st.just(1)), bound=bounds(cut=False), data=st.data())
def test_one_interval_moves_nothing_beyond_its_day(
    duck: Any, events: list[Event], bound: Bound, data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(events))
    interval = (START + gone[1]) // SECONDS
    rest = [one for one in events if (START + one[1]) // SECONDS != interval]
    moved = added(counted(duck, events, bound), counted(duck, rest, bound))
    assert {there * SECONDS // DAY for there, _ in moved} <= {interval * SECONDS // DAY}


@QUICK
@given(events=events_of(NUMBERS), bound=bounds())
def test_engines_agree(duck: Any, events: list[Event], bound: Bound) -> None:
    """SQLite as well, which has no MD5 for names."""
    lite = ibis.sqlite.connect()
    exact_remainders(lite)
    assert counted(lite, events, bound) == counted(duck, events, bound)


def test_postgresql_agrees(duck: Any, postgres: str) -> None:
    server = ibis.connect(f"{postgres}/postgres")
    random = np.random.default_rng(5)
    for person in ("7", 7):
        events = [
            (person, int(start + step) * SECONDS, int(region))
            for start, region in zip(
                random.integers(0, 56, 40), random.integers(0, 3, 40), strict=True
            )
            for step in range(3)
        ]
        for unit, slots in SLOTS.items():
            for intervals in (5, slots):
                bound = Bound(unit, min(intervals, slots), 1, 1, slots, None, 2)
                assert counted(server, events, bound) == counted(duck, events, bound)
    server.disconnect()


def test_a_run_ends_at_midnight(duck: Any) -> None:
    events = [(1, 6 * SECONDS, 0), (1, 7 * SECONDS, 0), (1, 8 * SECONDS, 0)]
    assert len(counted(duck, events, Bound("user", 100, 1, 1, 100, None, 1))) == 3
    again = [*events, (1, 4 * SECONDS, 1)]
    for secret in (b"a", b"b", b"c", b"d"):
        kept = counted(duck, again, Bound("user", 100, 1, 1, 100, None, 1), secret)
        assert len(kept) in (2, 3)
        assert (START // SECONDS + 8, 0) in kept


def test_every_run_is_as_likely_to_be_kept_however_long(duck: Any) -> None:
    persons = 3000
    rows = [
        (person, slot * SECONDS, region)
        for person in range(persons)
        for slot, region in ((0, 0), (1, 0), (2, 0), (3, 1), (5, 1), (6, 0), (7, 0))
    ]
    found = counted(duck, rows, Bound("user-day", 8, 1, 1, 8, None, 1))
    first = START // SECONDS
    shares = [found[first + slot, region] / persons for slot, region in ((0, 0), (3, 1), (5, 1))]
    assert max(abs(share - 0.25) for share in shares) < 5 * (0.25 * 0.75 / persons) ** 0.5
    assert found[first, 0] == found[first + 1, 0] == found[first + 2, 0]
    assert sum(found.values()) == pytest.approx(persons * 7 / 4, rel=0.05)


def test_weights_are_not_read_where_runs_are_counted(duck: Any) -> None:
    frame = pd.DataFrame(
        {"person": 1, "time": pd.to_datetime([START, START + SECONDS], unit="s"), "region": 0}
    ).assign(weight=[0, 5])
    bound = Bound("user-day", 8, 1, 1, 8, None, 2)
    counts = bounded_counts(ibis.memtable(frame), bound, seconds=SECONDS, secret=SECRET)
    assert list(duck.execute(counts)["count"]) == [1, 1]


def test_what_cannot_be_runs_is_refused() -> None:
    def bound(unit: str = "user-day", **more: Any) -> Bound:
        hours = pd.Timedelta("3h").to_pytimedelta()
        return enforceable(unit, periods=16, interval=hours, regions=4, **more)

    assert bound(runs_per_day=2).runs_per_day == 2
    assert bound(runs_per_day=8).runs_per_day is None
    assert bound("user-interval", runs_per_day=2).runs_per_day is None
    both: tuple[dict[str, Any], ...] = ({"regions_per_interval": 2}, {"weight": 2})
    for more in both:
        with pytest.raises(ValueError, match="one region at a time and count once"):
            bound(runs_per_day=2, **more)
    with pytest.raises(ValueError, match="runs_per_day=0 to be a whole number"):
        bound(runs_per_day=0)


def test_files_and_databases_give_the_same_panel(tmp_path: Path) -> None:
    rows = [
        (person, f"2024-01-0{day} {hour:02}:10:00", "abc"[(person + hour // 3 * day) % 3])
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
    limits = Limits("user-day", runs_per_day=2)
    one, other = (
        read_events(source, config, limits, secret=SECRET)
        for source in (f"sqlite:///{tmp_path / 'e.db'}#events", str(tmp_path / "e.parquet"))
    )
    pd.testing.assert_frame_equal(one.frame, other.frame)
    assert one.bound is not None
    assert one.bound.runs_per_day == 2
    counts = one.frame.iloc[:, 1:].to_numpy()
    assert 0 < counts.sum() < 40 * 48
    assert np.array_equal(counts, np.rint(counts))
    with pytest.raises(BoundError, match="runs_per_day=2 is for people"):
        read_events(
            str(tmp_path / "e.parquet"),
            config,
            Limits("user-day", None, 2, 1, None, 2),
            secret=SECRET,
        )


def test_days_of_the_oracle_are_days() -> None:
    assert all(SLOTS[one] > SLOTS[other] for one, other in pairwise(SLOTS))
    assert SLOTS["user-day"] * SECONDS == DAY
