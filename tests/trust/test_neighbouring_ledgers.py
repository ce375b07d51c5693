"""One data set in disguise: what the ledger tells is never less than what is true.

What is true is worked out from the counts that one unit's records really change, release by release,
and the exact formula of the Gaussian mechanism. A refusal that says why is as good as an account.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import create_engine
from typer.testing import CliRunner

from dp.budget import Budget
from dp.ledger import Ledger
from dp.unit.privacy_unit import PrivacyUnit
from flows.audit.attacks.accounts import DELTA, Cost, Part, cost, epsilon_of, panel_of
from flows.audit.attacks.accounts import values as recipe
from flows.cli.app import app
from flows.recipe.recipe import from_dict
from flows.settings import Home

TIMES = pd.date_range("2024-01-01", periods=35 * 4, freq="6h", name="time")


def frame(
    times: pd.DatetimeIndex = TIMES, changed: slice = slice(None)
) -> Callable[[bool], pd.DataFrame]:
    """Counts with one unit in the intervals that it changes, or without it."""
    values = np.random.default_rng(0).integers(50, 90, (len(times), 2))

    def made(there: bool) -> pd.DataFrame:
        counts = pd.DataFrame(values, times, ["north", "south"])
        counts.iloc[changed, 0] += there
        return counts

    return made


def check(found: Cost) -> None:
    """Told is at least what is true, or it was said why not."""
    assert found.reported >= found.true * (1 - 1e-3), (
        f"{found.reported:.3f} told, {found.true:.3f} true"
    )
    assert all(len(message) > 20 for message in found.refused)


def user(source: object, **more: object) -> dict[str, object]:
    """A whole panel's release for unit `user`, one region a person."""
    given = {"regions_per_interval": 1, **more}
    return recipe("user", str(source), source=given)


def test_the_exact_formula() -> None:
    """Balle and Wang's own example: noise of the size of the sensitivity, and epsilon 1."""
    assert epsilon_of(1.0, 0.126936737506643) == pytest.approx(1.0, abs=1e-9)


# One data set by several names


def _csv(path: Path, rows: int) -> Callable[[bool], None]:
    whole = frame()
    return lambda there: whole(there).iloc[:rows].to_csv(path)


def _table(base: Path, rows: int) -> Callable[[bool], None]:
    whole = frame()

    def write(there: bool) -> None:
        engine = create_engine(f"sqlite:///{base}")
        whole(there).iloc[:rows].to_sql("counts", engine, if_exists="replace")
        engine.dispose()

    return write


def _linked(path: Path, link: Path, rows: int) -> Callable[[bool], None]:
    def write(there: bool) -> None:
        _csv(path, rows)(there)
        if not link.exists():
            link.symlink_to(path)

    return write


def _disguises(folder: Path) -> dict[str, list[Part]]:
    """Twice the same people: the second time with a row more, and by another name."""
    csv, base = folder / "counts.csv", folder / "base.db"
    (folder / "other").mkdir()
    (folder / "inside").mkdir()
    first = Part(user("counts.csv"), _csv(csv, 138), folder=folder)
    url = f"sqlite:///{base}"
    table = Part(user(f"{url}#counts"), _table(base, 138))
    query = user(url, query="SELECT * FROM counts")
    lasting = {**user(f"{url}#counts"), "stream": {"lasts": "35d"}}
    return {
        "grown by a row": [first, Part(user("counts.csv"), _csv(csv, 139), folder=folder)],
        "absolute and grown": [first, Part(user(csv), _csv(csv, 139))],
        "from another folder": [
            first,
            Part(user("../counts.csv"), _csv(csv, 139), folder=folder / "inside"),
        ],
        "through a link": [
            first,
            Part(user(folder / "link.csv"), _linked(csv, folder / "link.csv", 139)),
        ],
        "copied, and then grown": [
            first,
            Part(user(folder / "other" / "copy.csv"), _csv(folder / "other" / "copy.csv", 138)),
            Part(user(folder / "other" / "copy.csv"), _csv(folder / "other" / "copy.csv", 139)),
        ],
        "copied, grown, and the first again": [
            first,
            Part(user(folder / "other" / "copy.csv"), _csv(folder / "other" / "copy.csv", 138)),
            Part(user("counts.csv"), _csv(csv, 139), folder=folder),
        ],
        "another URL": [
            table,
            Part(user(f"sqlite:///{folder}/inside/../base.db#counts"), _table(base, 139)),
        ],
        "a URL with a driver": [
            table,
            Part(user(f"sqlite+pysqlite:///{base}#counts"), _table(base, 139)),
        ],
        "a relative URL": [
            table,
            Part(user("sqlite:///base.db#counts"), _table(base, 139), folder=folder),
        ],
        "a query": [table, Part(query, _table(base, 139))],
        "a stream after a training": [table, Part(lasting, _table(base, 139), streamed=True)],
        "a training after a stream": [
            Part(lasting, _table(base, 138), streamed=True),
            Part(user(f"{url}#counts"), _table(base, 139)),
        ],
    }


DISGUISES = (
    "grown by a row",
    "absolute and grown",
    "from another folder",
    "through a link",
    "copied, and then grown",
    "copied, grown, and the first again",
    "another URL",
    "a URL with a driver",
    "a relative URL",
    "a query",
    "a stream after a training",
    "a training after a stream",
)


@pytest.mark.parametrize("disguise", DISGUISES)
def test_one_data_set_is_one_account(home: Home, tmp_path: Path, disguise: str) -> None:
    parts = _disguises(tmp_path)[disguise]
    found = cost(parts, PrivacyUnit.USER, home)
    check(found)
    if not found.refused:
        assert found.true > 1.4  # the attack does what it is meant to do


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_cap_holds_by_whatever_name(home: Home, tmp_path: Path, disguise: str) -> None:
    parts = _disguises(tmp_path)[disguise]
    first = cost(parts[:1], PrivacyUnit.USER, home)
    assert not first.refused
    ledger = Ledger(home.database_url)
    (name,) = {entry.dataset for entry in ledger.entries()}
    ledger.set_cap(name, PrivacyUnit.USER, Budget(1.2, DELTA))
    before = len(ledger.entries())
    rest = cost(parts[1:], PrivacyUnit.USER, home)
    drawn = [one for one in ledger.entries()[before:] if one.state in ("committed", "released")]
    # pieces of a stream may fit below the cap, one by one
    assert all(one.purpose == "stream" for one in drawn), f"drawn past the cap: {drawn}"
    assert rest.refused
    assert (
        max(ledger.spent(one.dataset, PrivacyUnit.USER, DELTA) for one in ledger.entries()) <= 1.2
    )


def test_the_cap_of_one_name_is_that_of_the_other(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set before anything was charged, and passed by an absolute path."""
    csv = tmp_path / "counts.csv"
    _csv(csv, 138)(True)
    monkeypatch.chdir(tmp_path)
    words = ["budget", "cap", "counts.csv", "--unit", "user", "--epsilon", "0.5", "--new"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    found = cost([Part(user(csv), _csv(csv, 138))], PrivacyUnit.USER, home)
    assert found.refused
    assert found.true == 0


# Lengths and zones


def test_two_lengths_of_an_interval(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One person's day: one count a day, and then 48 half-hours."""
    days = pd.date_range("2024-01-01", periods=40, freq="D", name="time")
    halves = pd.date_range("2024-01-01", periods=40 * 48, freq="30min", name="time")
    one, other = frame(days, slice(9, 10)), frame(halves, slice(9 * 48, 10 * 48))
    csv, shorter = tmp_path / "days.csv", tmp_path / "halves.csv"
    asked = [
        recipe("user-interval", str(path), source={"account": "city", "regions_per_interval": 1})
        for path in (csv, shorter)
    ]
    parts = [
        Part(asked[0], lambda there: one(there).to_csv(csv)),
        Part(asked[1], lambda there: other(there).to_csv(shorter)),
    ]
    check(cost(parts, PrivacyUnit.USER_INTERVAL, home))


def _events(path: Path, zone: str, unit: str, start: str, end: str, most: int) -> dict[str, object]:
    return recipe(
        unit,
        str(path),
        privacy={"intervals_per_unit": most},
        source={"account": "city", "events": True, "regions_per_interval": 1},
        events={
            "interval": "30min",
            "timezone": zone,
            "start": start,
            "end": end,
            "regions": ["north", "south"],
        },
    )


def _sightings(path: Path, moments: pd.DatetimeIndex) -> Callable[[bool], None]:
    """Many people once, and one person at all of the moments."""
    crowd = pd.DataFrame(
        {
            "person": np.arange(100, 400),
            "time": pd.date_range("2024-01-01", periods=300, freq="3h", tz="UTC"),
            "place": ["north", "south"] * 150,
        }
    )
    one = pd.DataFrame({"person": 7, "time": moments, "place": "north"})

    def write(there: bool) -> None:
        pd.concat([crowd, one if there else one.iloc[:0]]).to_parquet(path)

    return write


def test_two_zones(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is before midnight in London is after it in Tokyo: both parts have these nine hours."""
    path = tmp_path / "events.parquet"
    evening = pd.date_range("2024-01-14 15:00", "2024-01-14 23:59", freq="30min", tz="UTC")
    write = _sightings(path, evening)
    parts = [
        Part(_events(path, "UTC", "user-day", "2024-01-01", "2024-01-15", 18), write),
        Part(_events(path, "Asia/Tokyo", "user-day", "2024-01-15", "2024-02-01", 18), write),
    ]
    check(cost(parts, PrivacyUnit.USER_DAY, home))


# What an enforced bound does to the shorter units within it


def test_a_day_within_the_bound_of_a_whole_panel(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a day of somebody is gone, others of their intervals move up: K is of the whole panel."""
    path = tmp_path / "events.parquet"
    asked = _events(path, "UTC", "user", "2024-01-01", "2024-02-01", 160)
    halves = pd.date_range("2024-01-08", periods=48 * 5, freq="30min", tz="UTC")
    days = [f"2024-01-{day:02d}" for day in range(8, 13)]

    def seen(without: str | None) -> pd.DataFrame:
        left = halves[halves.strftime("%Y-%m-%d") != without]
        _sightings(path, left)(True)
        return panel_of(from_dict(asked)).counts

    monkeypatch.setenv("VEILCAST_HOME", str(home.root))
    whole = seen(None)
    moved = {day: int((whole != seen(day)).to_numpy().sum()) for day in days}
    worst = max(moved, key=lambda day: moved[day])
    assert moved[worst] > 48  # the attack does what it is meant to do

    def write(there: bool) -> None:
        _sightings(path, halves if there else halves[halves.strftime("%Y-%m-%d") != worst])(True)

    check(cost([Part(asked, write)], PrivacyUnit.USER_DAY, home))


# Intervals across the border of a unit


@pytest.mark.parametrize(
    ("unit", "first", "length", "changed"),
    [
        (PrivacyUnit.USER_DAY, "2024-01-01 04:00", "1D", slice(9, 11)),
        (PrivacyUnit.USER_WEEK, "2024-01-07 00:00", "7D", slice(9, 11)),
        (PrivacyUnit.USER_DAY, "2024-01-01 00:15", "30min", slice(47, 47 + 49)),
    ],
    ids=["days from four o'clock", "weeks from Sunday", "half-hours from a quarter past"],
)
def test_intervals_across_the_border_of_a_unit(
    home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unit: PrivacyUnit,
    first: str,
    length: str,
    changed: slice,
) -> None:
    """A calendar day or week has records in one interval more than fit into it."""
    periods = int(pd.Timedelta(days=280) / pd.Timedelta(length)) if length != "30min" else 48 * 30
    made = frame(pd.date_range(first, periods=periods, freq=length, name="time"), changed)
    path = tmp_path / "counts.csv"
    asked = recipe(unit.value, str(path), source={"regions_per_interval": 1})
    part = Part(asked, lambda there: made(there).to_csv(path))
    check(cost([part], unit, home))


@pytest.mark.parametrize("unit", ["user-day", "user"])
@pytest.mark.parametrize("noise", ["independent", "least"])
def test_an_honest_release_is_told_for_what_it_is(
    home: Home, tmp_path: Path, unit: str, noise: str
) -> None:
    """Where nothing is wrong, what is told is what is true: the comparison is sharp."""
    here = range(8, 12) if unit == "user-day" else range(len(TIMES))
    counts = frame(TIMES, slice(0, 0))(False)
    path = tmp_path / "counts.csv"

    def write(there: bool) -> None:
        values = counts.to_numpy(copy=True)
        for place in here:
            # shared offsets hide least of somebody who is in each region for half of the time
            values[place, int(noise == "least" and place >= here[len(here) // 2])] += there
        pd.DataFrame(values, counts.index, counts.columns).to_csv(path)

    asked = recipe(unit, str(path), source={"regions_per_interval": 1}, privacy={"noise": noise})
    part = Part(asked, write)
    found = cost([part], PrivacyUnit(unit), home)
    check(found)
    assert not found.refused
    assert found.reported == pytest.approx(1.0, rel=1e-3)
    assert found.true == pytest.approx(found.reported, rel=1e-2)
