"""Pairs of files that differ by one person, and who that person may be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

START = pd.Timestamp("2024-01-01")
DAYS, STEPS, STEP = 35, 12, pd.Timedelta("2h")
TIMES = pd.date_range(START, periods=DAYS * STEPS, freq=STEP, name="time")
END = START + pd.Timedelta(days=DAYS)

REGIONS = ("town", "north", "south", "harbour")
K, M = 2, 2
"""Declared of every file here: intervals of a person's day, regions within one of them."""

PLACES = ("north", "south", "harbour")
RARE = "lighthouse"
"""Where nobody else ever is."""


@cache
def counts() -> pd.DataFrame:
    """Counts at the edge of every rule: one region is constant, one contains all others exactly."""
    draw = np.random.default_rng(5)
    wave = 60 * (1 + np.sin(np.arange(len(TIMES)) / STEPS * 2 * np.pi))
    north, south = ((wave + draw.integers(0, 40, len(TIMES))).astype(int) for _ in range(2))
    harbour = np.full(len(TIMES), 7)
    town = north + south + harbour
    return pd.DataFrame(dict(zip(REGIONS, (town, north, south, harbour), strict=True)), TIMES)


@dataclass(frozen=True)
class OneDay:
    """One person's day, put into counts or taken out of them.

    Attributes:
        day: which.
        cells: interval of the day and region, at most K intervals and M regions in each.
        sign: 1 to add, −1 to remove (where somebody is counted).
    """

    day: int
    cells: tuple[tuple[int, str], ...]
    sign: int

    def applied(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The neighbouring counts."""
        found: Any = frame.copy()
        for step, region in self.cells:
            found.loc[TIMES[self.day * STEPS + step], region] += self.sign
        return pd.DataFrame(found)


@st.composite
def days(draw: st.DrawFn) -> OneDay:
    """Anybody's day."""
    steps = draw(st.lists(st.integers(0, STEPS - 1), min_size=1, max_size=K, unique=True))
    cells = []
    for step in steps:
        where = st.lists(st.sampled_from(REGIONS), min_size=1, max_size=M, unique=True)
        cells += [(step, region) for region in draw(where)]
    day = draw(st.sampled_from([0, 3, DAYS - 8, DAYS - 1]) | st.integers(0, DAYS - 1))
    return OneDay(day, tuple(cells), draw(st.sampled_from([1, -1])))


@dataclass(frozen=True)
class OneInterval:
    """All counts of one interval, changed to anything (`interval-1`)."""

    at: int
    values: tuple[float, ...]

    def applied(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The neighbouring counts."""
        found = frame.copy().astype(object)
        found.iloc[self.at] = [int(value) if value < 1e15 else value for value in self.values]
        return found


LEARNT = len(TIMES) - (4 + 7 + 1) * STEPS
"""Intervals that no forecast of the test period reads: those that only the training sees."""


def intervals(most: float) -> st.SearchStrategy[OneInterval]:
    """Any interval that is trained on, any counts up to the most."""
    extremes = [one for one in (0, 1, 10**6, 10**12, 1e25, 1e300) if one <= most]
    value = st.sampled_from(extremes) | st.integers(0, 10**6)
    values = st.tuples(*[value] * len(REGIONS))
    return st.builds(OneInterval, st.integers(0, LEARNT - 1), values)


@cache
def events() -> pd.DataFrame:
    """Sightings of sixty persons, each some times a day."""
    draw = np.random.default_rng(7)
    persons = np.repeat(np.arange(100, 160), DAYS * 4)
    steps = draw.integers(0, DAYS * STEPS, len(persons))
    times = START + pd.to_timedelta(steps * 120 + draw.integers(0, 120, len(persons)), unit="min")
    places = draw.choice(PLACES, len(persons), p=[0.5, 0.4, 0.1])
    frame = pd.DataFrame({"person": persons, "time": times, "place": places})
    return frame.sort_values("time", ignore_index=True)


@dataclass(frozen=True)
class OnePerson:
    """One person's records, put in; or those of somebody who is there, taken out.

    Attributes:
        removed: who is taken out; None where somebody new is put in.
        records: time after the start of the panel, in minutes, and place, of somebody new.
    """

    removed: int | None
    records: tuple[tuple[int, str], ...] = ()

    def applied(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The neighbouring events."""
        if self.removed is not None:
            return frame[frame["person"] != self.removed]
        new = pd.DataFrame(
            {
                "person": 999,
                "time": [START + pd.Timedelta(minutes=after) for after, _ in self.records],
                "place": [place for _, place in self.records],
            }
        )
        return pd.concat([frame, new])


def persons() -> st.SearchStrategy[OnePerson]:
    """Somebody who is there, or somebody new: anywhere, also before and after all others."""
    within = DAYS * 24 * 60
    minute = st.integers(0, within - 1) | st.integers(-30 * 1440, within + 30 * 1440)
    record = st.tuples(minute, st.sampled_from([*PLACES, RARE]))
    new = st.lists(record, min_size=1, max_size=60).map(
        lambda records: OnePerson(None, tuple(records))
    )
    return new | st.integers(100, 159).map(OnePerson)
