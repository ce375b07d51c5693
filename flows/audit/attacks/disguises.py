"""Disguises of one made-up data set: other spellings, other intervals, other clocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from dp.unit.privacy_unit import PrivacyUnit
from flows.audit.attacks.accounts import Part, attempt, cost, values
from flows.audit.attacks.attempt import Attempt
from flows.settings import temporary_home

Counts = Callable[[bool], pd.DataFrame]
_DAYS = 40


def accounts(folder: Path) -> Iterator[Attempt]:
    """Try every disguise, each with its own ledger.

    Args:
        folder: empty folder for the made-up files.
    """
    for kind, tried, unit, parts in (
        (
            "two spellings",
            "a file by its path, grown by a row, and through a link",
            PrivacyUnit.USER,
            spellings(folder),
        ),
        (
            "two interval lengths",
            "one person's day as one count, and as 48",
            PrivacyUnit.USER_INTERVAL,
            lengths(folder),
        ),
        (
            "two time zones",
            "until midnight in UTC, and from midnight in Tokyo",
            PrivacyUnit.USER_DAY,
            zones(folder),
        ),
        (
            "intervals across midnight",
            "counts of days from four o'clock",
            PrivacyUnit.USER_DAY,
            across(folder),
        ),
    ):
        with temporary_home() as home:
            yield attempt(kind, tried, cost(parts, unit, home))


def spellings(folder: Path) -> list[Part]:
    """A file, and the same with a row more through a link."""
    path, link = folder / "counts.csv", folder / "link.csv"
    link.symlink_to(path)
    make = counts(pd.date_range("2024-01-01", periods=_DAYS * 4, freq="6h", name="time"))
    source = {"regions_per_interval": 1}
    return [
        Part(values("user", str(name), source=source), _csv(make, path, _DAYS * 4 - left))
        for name, left in ((path, 1), (link, 0))
    ]


def lengths(folder: Path) -> list[Part]:
    """Return counts by day and by half-hour, of one account; the unit is present for a day."""
    parts = []
    for freq, steps in (("D", 1), ("30min", 48)):
        times = pd.date_range("2024-01-01", periods=_DAYS * steps, freq=freq, name="time")
        make, path = counts(times, slice(9 * steps, 10 * steps)), folder / f"by-{freq}.csv"
        source = {"account": "city", "regions_per_interval": 1}
        recipe = values("user-interval", str(path), source=source)
        parts.append(Part(recipe, _csv(make, path)))
    return parts


def zones(folder: Path) -> list[Part]:
    """Return events of two halves of a month, in two zones; the unit is present where they overlap."""
    path = folder / "events.parquet"
    crowd = pd.DataFrame(
        {
            "person": np.arange(100, 400),
            "time": pd.date_range("2024-01-01", periods=300, freq="3h", tz="UTC"),
            "place": ["north", "south"] * 150,
        }
    )
    evening = pd.date_range("2024-01-14 15:00", periods=18, freq="30min", tz="UTC")
    person = pd.DataFrame({"person": 7, "time": evening, "place": "north"})

    def write(there: bool) -> None:
        pd.concat([crowd, person] if there else [crowd]).to_parquet(path)

    def part(zone: str, start: str, end: str) -> Part:
        recipe = values(
            "user-day",
            str(path),
            privacy={"intervals_per_unit": len(evening)},
            source={"account": "city", "events": True, "regions_per_interval": 1},
            events={
                "interval": "30min",
                "timezone": zone,
                "start": start,
                "end": end,
                "regions": ["north", "south"],
            },
        )
        return Part(recipe, write)

    return [
        part("UTC", "2024-01-01", "2024-01-15"),
        part("Asia/Tokyo", "2024-01-15", "2024-02-01"),
    ]


def across(folder: Path) -> list[Part]:
    """Return days that start at four o'clock: a calendar day has records in two of them."""
    times = pd.date_range("2024-01-01 04:00", periods=_DAYS, freq="D", name="time")
    path = folder / "from-four.csv"
    recipe = values("user-day", str(path), source={"regions_per_interval": 1})
    return [Part(recipe, _csv(counts(times, slice(9, 11)), path))]


def counts(times: pd.DatetimeIndex, changed: slice = slice(None)) -> Counts:
    """Return a function that makes counts with one unit in the changed intervals, or without it."""
    usual = np.random.default_rng(0).integers(50, 90, (len(times), 2))

    def make(there: bool) -> pd.DataFrame:
        frame = pd.DataFrame(usual, times, ["north", "south"])
        frame.iloc[changed, 0] += there
        return frame

    return make


def _csv(make: Counts, path: Path, rows: int | None = None) -> Callable[[bool], None]:
    return lambda there: make(there).iloc[:rows].to_csv(path)
