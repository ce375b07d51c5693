"""A made-up city of persons, with homes, work places, a weekly rhythm and a few events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.errors import DataError
from data.spans import DAY

Places = NDArray[np.int8]
START = pd.Timestamp("2024-01-01")  # a Monday
NOWHERE = -1


@dataclass(frozen=True)
class City:
    """Settings of a city; cities with equal settings are equal person by person.

    Attributes:
        days: length, from Monday 2024-01-01.
        persons: inhabitants.
        regions: regions; region 1 is the centre, with most of the work places.
        interval: length of one interval; whole minutes, a whole number of intervals per day.
        seed: of the random numbers.
    """

    days: int = 70
    persons: int = 4000
    regions: int = 6
    interval: str = "30min"
    seed: int = 1

    def __post_init__(self) -> None:
        for name, least, most in (("days", 1, 3660), ("persons", 1, 10**6), ("regions", 2, 100)):
            value = getattr(self, name)
            if not least <= value <= most:
                raise DataError(f"synthetic: {name}={value} must be from {least} to {most}")
        if self.seed < 0:
            raise DataError(f"synthetic: seed={self.seed} must be at least 0")
        try:
            length = pd.Timedelta(self.interval)
        except ValueError:
            length = pd.Timedelta(0)
        if length < pd.Timedelta("1min") or DAY % length:
            raise DataError(
                f"synthetic: interval={self.interval} must be at least 1min and divide a day"
            )

    @property
    def steps(self) -> int:
        """Intervals per day."""
        return int(DAY / pd.Timedelta(self.interval))

    @property
    def names(self) -> list[str]:
        """Names of the regions."""
        return [f"region {number}" for number in range(1, self.regions + 1)]

    @property
    def start(self) -> pd.Timestamp:
        """Start of the first interval."""
        return START

    @property
    def end(self) -> pd.Timestamp:
        """End of the last interval."""
        return START + self.days * DAY

    @property
    def times(self) -> pd.DatetimeIndex:
        """Start of each interval."""
        return pd.date_range(START, periods=self.days * self.steps, freq=self.interval, name="time")


def counts(city: City) -> pd.DataFrame:
    """Count persons per interval and region, [T, R]; one person is in at most one region at a time."""
    rows = []
    for places in _days(city):
        # position 0 collects persons who are nowhere
        cell = places.astype(np.int64) + 1 + np.arange(city.steps) * (city.regions + 1)
        flat = np.bincount(cell.ravel(), minlength=city.steps * (city.regions + 1))
        rows.append(flat.reshape(city.steps, city.regions + 1)[:, 1:])
    return pd.DataFrame(np.concatenate(rows), index=city.times, columns=city.names)


def events(city: City) -> pd.DataFrame:
    """Return the raw records behind `counts`: one row (person, time, place) per sighting, by time."""
    parts = []
    times = city.times.to_numpy().reshape(city.days, city.steps)
    for day, places in enumerate(_days(city)):
        step, person = np.nonzero(places.T != NOWHERE)
        parts.append(
            pd.DataFrame(
                {
                    "person": person.astype(np.int32),
                    "time": times[day, step],
                    "place": pd.Categorical.from_codes(
                        places[person, step], categories=pd.Index(city.names)
                    ),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True)
class _Habits:
    """Constant habits of each person, [P] each; hours of the day."""

    home: Places
    work: Places
    works: NDArray[np.bool_]
    leave: NDArray[np.float64]
    back: NDArray[np.float64]
    visibility: NDArray[np.float64]
    outgoing: NDArray[np.float64]


def _days(city: City) -> Iterator[Places]:
    """Yield everybody's places, one day at a time, [P, steps]; `NOWHERE` without a trace."""
    rng = np.random.default_rng(city.seed)
    habits = _habits(city, rng)
    hour = (np.arange(city.steps) + 0.5) * 24 / city.steps
    holiday, concert = _event_days(city)
    mood = 0.0  # weather, say: makes days differ for everybody at once
    for day in range(city.days):
        mood = 0.6 * mood + rng.normal(0, 0.35)
        free = day % 7 >= 5 or day == holiday
        yield _day(city, habits, rng, hour, free=free, concert=day == concert, mood=mood)


def _event_days(city: City) -> tuple[int, int]:
    """Return the days of a public holiday in the middle and of a concert near the end."""
    middle = city.days // 2
    return middle - max(0, middle % 7 - 3), city.days - 4


def _habits(city: City, rng: np.random.Generator) -> _Habits:
    count = city.persons
    centre = np.ones(city.regions)
    centre[0] = 1.5 * city.regions
    return _Habits(
        home=rng.choice(city.regions, count, p=_shares(rng, city.regions)).astype(np.int8),
        work=rng.choice(city.regions, count, p=centre / centre.sum()).astype(np.int8),
        works=rng.random(count) < 0.7,
        leave=rng.normal(8.2, 0.9, count),
        back=rng.normal(17.6, 1.2, count),
        visibility=rng.beta(6, 3, count),
        outgoing=rng.beta(2, 4, count),
    )


def _shares(rng: np.random.Generator, regions: int) -> NDArray[np.float64]:
    shares = rng.uniform(0.5, 2.0, regions)
    normalised: NDArray[np.float64] = shares / shares.sum()
    return normalised


def _day(
    city: City,
    habits: _Habits,
    rng: np.random.Generator,
    hour: NDArray[np.float64],
    *,
    free: bool,
    concert: bool,
    mood: float,
) -> Places:
    """Return one day of everybody, [P, steps]."""
    count = city.persons
    places = np.repeat(habits.home[:, None], len(hour), axis=1)
    if not free:
        going = habits.works & (rng.random(count) < 0.92)
        leave = habits.leave + rng.normal(0, 0.3, count)
        back = habits.back + rng.normal(0, 0.5, count)
        _put(places, habits.work, going, leave, back, hour)
    outing = rng.random(count) < habits.outgoing * (1.4 if free else 0.8) * np.exp(mood)
    start = rng.normal(13.5 if free else 18.8, 2.5 if free else 0.8, count)
    length = rng.gamma(3.0, 0.8, count)
    where = rng.choice(city.regions, count).astype(np.int8)
    _put(places, where, outing, start, start + length, hour)
    if concert:
        _put(places, np.zeros(count, np.int8), rng.random(count) < 0.2, 19.0, 22.5, hour)
    # Phones are seen more by day than at night, and some persons are out of town altogether.
    visible = habits.visibility[:, None] * (
        0.65 + 0.35 * np.clip(np.sin((hour - 6) / 24 * 2 * np.pi), 0, 1)
    )
    places[rng.random(places.shape, dtype=np.float32) >= visible] = NOWHERE
    places[rng.random(count) < (0.1 if free else 0.05)] = NOWHERE
    return places


def _put(
    places: Places,
    where: Places,
    who: NDArray[np.bool_],
    start: NDArray[np.float64] | float,
    stop: NDArray[np.float64] | float,
    hour: NDArray[np.float64],
) -> None:
    """Move the persons `who` to `where` from `start` to `stop`, in place."""
    begin, end = (np.broadcast_to(hours, who.shape)[:, None] for hours in (start, stop))
    there = who[:, None] & (hour >= begin) & (hour < end)
    np.copyto(places, where[:, None], where=there)
