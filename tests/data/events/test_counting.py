"""Bounded counts against plain Python, on DuckDB and PostgreSQL; what one person can change."""

import hashlib
import hmac
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.bound import Bound
from data.events.counting import bounded_counts
from data.events.order import PRIME, coefficients, keyed_order

SECONDS, SECRET = 6 * 3600, b"a secret"
START = 1_704_067_200  # Monday 2024-01-01
Events = list[tuple[Any, int, int, int]]  # person, seconds since START, region, weight
Count = Callable[[Events, Bound], dict[tuple[int, int], int]]


def order(purpose: str, person: int | str, *where: int) -> int | str:
    if isinstance(person, str):
        key = hmac.new(SECRET, purpose.encode(), hashlib.sha256).hexdigest()[:32]
        return hashlib.md5("|".join([key, person, *map(str, where)]).encode()).hexdigest()
    numbers = coefficients(SECRET, purpose, 5 + len(where))
    cubic, factors = numbers[:4], numbers[:3:-1]
    x = (person * factors[0] + sum(f * w for f, w in zip(factors[1:], where, strict=True))) % PRIME
    return sum(factor * x**power for power, factor in enumerate(cubic)) % PRIME


def unit_of(person: Any, interval: int, bound: Bound) -> tuple[Any, ...]:
    if bound.span is None:
        return (person,)
    length, origin = bound.span
    return person, (interval * SECONDS - origin) // length


def reference(events: Events, bound: Bound) -> dict[tuple[int, int], int]:
    weights: dict[tuple[Any, int, int], int] = {}
    for person, time, region, weight in events:
        cell = person, (START + time) // SECONDS, region
        weights[cell] = max(weight, weights.get(cell, 0))
    if bound.cuts_regions:
        places = defaultdict(set)
        for person, interval, region in weights:
            places[unit_of(person, interval, bound)].add(region)
        first_places = {
            unit: sorted(there, key=lambda one: (order("ever", *unit, one), one))
            for unit, there in places.items()
        }
        weights = {
            cell: weight
            for cell, weight in weights.items()
            if cell[2] in first_places[unit_of(*cell[:2], bound)][: bound.regions_ever]
        }
    regions, intervals = defaultdict(set), defaultdict(set)
    for person, interval, region in weights:
        regions[person, interval].add(region)
        intervals[unit_of(person, interval, bound)].add(interval)
    counts: Counter[tuple[int, int]] = Counter()
    for (person, *_), found in intervals.items():
        first = sorted(found, key=lambda one: (order("interval", person, one), one))
        for interval in first[: bound.intervals] if bound.cuts else found:
            chosen = sorted(
                regions[person, interval],
                key=lambda one: (order("region", person, interval, one), one),
            )
            for region in chosen[: bound.regions]:
                counts[interval, region] += min(bound.weight, weights[person, interval, region])
    return dict(counts)


@pytest.fixture(scope="module")
def duck() -> Any:
    return ibis.duckdb.connect()


@pytest.fixture(scope="module")
def server(postgres: str) -> Iterator[Any]:
    connection = ibis.connect(f"{postgres}/postgres")
    yield connection
    connection.disconnect()


@pytest.fixture(params=["duck", "server"])
def count(request: pytest.FixtureRequest) -> Count:
    connection = request.getfixturevalue(request.param)

    def counted(events: Events, bound: Bound, *, weighted: bool = True) -> dict[Any, int]:
        frame = pd.DataFrame(events, columns=["person", "time", "region", "weight"])
        frame["time"] = pd.to_datetime(START + frame["time"], unit="s")
        table = ibis.memtable(frame if weighted else frame.drop(columns="weight"))
        found = connection.execute(bounded_counts(table, bound, seconds=SECONDS, secret=SECRET))
        rows = found[["interval", "region", "count"]].itertuples(index=False)
        return {(interval, region): number for interval, region, number in rows}

    return counted


people = st.one_of(
    st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=4),
    st.lists(st.text("ab|é'\"%:;", max_size=4), min_size=1, max_size=4),
)


@st.composite
def event_lists(draw: Any) -> Events:
    names = draw(people)
    row = st.tuples(
        st.sampled_from(names),
        st.integers(-86400, 20 * 86400),
        st.integers(0, 3),
        st.integers(0, 4),
    )
    return draw(st.lists(row, min_size=1, max_size=40))


@st.composite
def bounds(draw: Any) -> Bound:
    unit = draw(st.sampled_from(["user", "user-week", "user-day", "user-interval"]))
    slots = {"user": 100, "user-week": 28, "user-day": 4, "user-interval": 1}[unit]
    regions = draw(st.integers(1, 3))
    return Bound(
        unit,
        draw(st.integers(1, min(slots, 6))),
        regions,
        draw(st.integers(1, 3)),
        slots,
        draw(st.none() | st.integers(regions, 4)),
    )


QUIET = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@QUIET
@given(events=event_lists(), bound=bounds())
def test_counts_are_those_of_plain_python(count: Count, events: Events, bound: Bound) -> None:
    assert count(events, bound) == reference(events, bound)


@QUIET
@given(events=event_lists(), bound=bounds())
def test_without_weights_everybody_counts_once(count: Any, events: Events, bound: Bound) -> None:
    ones = [(*event[:3], 1) for event in events]
    assert count(events, bound, weighted=False) == reference(ones, bound)


@QUIET
@given(events=event_lists(), bound=bounds(), data=st.data())
def test_one_unit_changes_no_more_than_the_sensitivity(
    duck: Any, events: Events, bound: Bound, data: st.DataObject
) -> None:
    count = _counter(duck)
    person, time = data.draw(st.sampled_from(events))[:2]

    def unit(event: tuple[Any, int, int, int]) -> tuple[Any, int]:
        length, origin = bound.span or (2**40, 0)
        if bound.unit == "user-interval":
            length = SECONDS
        return event[0], (START + event[1] - origin) // length

    gone = unit((person, time, 0, 0))
    before = Counter(count(events, bound))
    after = Counter(count([one for one in events if unit(one) != gone] or _nobody(), bound))
    changed = [before[cell] - after[cell] for cell in before | after]
    assert math.sqrt(sum(one**2 for one in changed)) <= bound.sensitivity + 1e-9


def _nobody() -> Events:
    return [(0, 0, 0, 0)]  # weighs nothing


def _counter(connection: Any) -> Count:
    def counted(events: Events, bound: Bound) -> dict[tuple[int, int], int]:
        frame = pd.DataFrame(events, columns=["person", "time", "region", "weight"])
        if all(one == (0, 0, 0, 0) for one in events):
            return {}
        frame["time"] = pd.to_datetime(START + frame["time"], unit="s")
        table = ibis.memtable(frame)
        found = connection.execute(bounded_counts(table, bound, seconds=SECONDS, secret=SECRET))
        rows = found[["interval", "region", "count"]].itertuples(index=False)
        return {(interval, region): count for interval, region, count in rows}

    return counted


def test_thousands_of_events_in_an_interval_count_once(count: Any) -> None:
    events = [(7, 10 + n % 60, n % 3, 1) for n in range(5000)] + [(8, 5, 0, 1)]
    found = count(events, Bound("user-day", 4, 1, 1, 4), weighted=False)
    assert sum(found.values()) == 2


@pytest.mark.parametrize("name", ["duck", "server"])
def test_fractions_of_a_second_stay_in_their_interval(
    name: str, request: pytest.FixtureRequest
) -> None:
    connection = request.getfixturevalue(name)
    times = pd.to_datetime(["2024-01-01 05:59:59.999", "2024-01-01 06:00:00.000"])
    frame = pd.DataFrame({"person": [1, 2], "time": times, "region": [0, 0]})
    table = ibis.memtable(frame)
    bound = Bound("user-day", 4, 1, 1, 4)
    found = connection.execute(bounded_counts(table, bound, seconds=SECONDS, secret=SECRET))
    assert sorted(found["interval"]) == [START // SECONDS, START // SECONDS + 1]


@pytest.mark.parametrize("text", [False, True])
def test_every_interval_is_as_likely_to_be_kept(duck: Any, text: bool) -> None:
    """48 intervals a day, 16 of them kept: within five standard deviations everywhere."""
    persons, slots, kept = 4000, 48, 16
    person, slot = np.meshgrid(np.arange(persons), np.arange(slots), indexing="ij")
    frame = pd.DataFrame({"person": person.ravel(), "slot": slot.ravel() + 946_000})
    if text:
        frame["person"] = "p" + frame["person"].astype(str)
    table = ibis.memtable(frame)
    ranked = table.mutate(order=keyed_order(SECRET, "interval", table.person, table.slot))
    frame = duck.execute(ranked)
    first = frame.sort_values(["person", "order"]).groupby("person").head(kept)
    share = first["slot"].value_counts().to_numpy() / persons
    assert len(share) == slots
    sd = math.sqrt(kept / slots * (1 - kept / slots) / persons)
    assert abs(share - kept / slots).max() < 5 * sd
    together = first.pivot_table(index="person", columns="slot", values="order", aggfunc="size")
    pairs = np.corrcoef(together.notna().to_numpy().T)
    expected = -1 / (slots - 1)
    off = pairs[~np.eye(slots, dtype=bool)] - expected
    assert abs(off).max() < 5.5 / math.sqrt(persons)


def test_another_key_is_another_selection(duck: Any) -> None:
    frame = pd.DataFrame({"person": np.repeat(1, 48), "slot": np.arange(48)})
    table = ibis.memtable(frame)
    orders = [
        duck.execute(table.mutate(order=keyed_order(key, "interval", table.person, table.slot)))
        for key in (b"one", b"another")
    ]
    ranks = [one["order"].rank().to_numpy() for one in orders]
    assert abs(np.corrcoef(*ranks)[0, 1]) < 0.6
    assert not np.array_equal(*ranks)


def test_a_bound_says_what_it_enforces() -> None:
    assert Bound("user-day", 16, 2, 3, 48).sensitivity == pytest.approx(3 * math.sqrt(32))
    with pytest.raises(ValueError, match="K=49 ≤ 48"):
        Bound("user-day", 49, 1, 1, 48)
    with pytest.raises(ValueError, match="regions=0"):
        Bound("user-day", 4, 0, 1, 48)
