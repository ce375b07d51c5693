"""From files and databases to counts: the same everywhere, pushed down, by the right clock."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pandas as pd
import psycopg
import pytest
from sqlalchemy import create_engine

from data.errors import DataError
from data.events.config import EventsConfig
from data.events.contribution import seen_intervals, seen_regions
from data.events.read import Limits, read_events
from data.sources import read
from data.sources.synthetic import events as made_up

CITY = "synthetic:days=4,persons=120"
SECRET = b"key"
LIMITS = Limits("user-day", 10)


def counted(
    source: str, config: EventsConfig | None = None, limits: Limits = LIMITS, **more: Any
) -> Any:
    asked = {"look": True, **more}  # what is declared under a mechanism: test_neighbours.py
    table = read_events(source, config or EventsConfig(), limits, secret=SECRET, **asked)
    return table, table.frame.set_index("time")


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    return made_up(CITY).astype({"place": str})


def database(url: str, events: pd.DataFrame, table: str = "events") -> str:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    events.to_sql(table, engine, index=False)
    engine.dispose()
    return f"{url}#{table}"


@pytest.fixture
def empty_server(request: pytest.FixtureRequest, postgres: str) -> str:
    name = f"e{abs(hash(request.node.name)) % 10**9}"
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{postgres}/{name}"


def test_without_a_cut_events_are_the_counts_of_the_city() -> None:
    _, frame = counted(CITY, limits=Limits("user-day"))
    expected = read(CITY).frame.set_index("time")
    np.testing.assert_array_equal(frame.to_numpy(), expected.to_numpy())
    assert list(frame.columns) == list(expected.columns)


def test_files_folders_and_databases_give_the_same(
    events: pd.DataFrame, tmp_path: Path, empty_server: str
) -> None:
    expected, frame = counted(CITY)
    assert expected.bound is not None
    assert expected.timezone is None  # times without a zone are the panel's clock
    assert (expected.bound.intervals, expected.bound.slots) == (10, 48)
    half = len(events) // 2
    folder = tmp_path / "lake" / "day=1"
    folder.mkdir(parents=True)
    events.iloc[half:].to_parquet(folder / "one.parquet")
    events.iloc[:half].to_parquet(folder / "two.parquet")
    events.to_parquet(tmp_path / "events.parquet")
    events.to_csv(tmp_path / "events.csv.gz", index=False)
    sources = [
        str(tmp_path / "lake"),
        str(tmp_path / "events.parquet"),
        str(tmp_path / "events.csv.gz"),
        database(f"sqlite:///{tmp_path / 'e.db'}", events.assign(time=events["time"].astype(str))),
        database(empty_server, events),
    ]
    for source in sources:
        if source.startswith("sqlite"):  # has no type for times
            with pytest.raises(DataError, match="convert the column in the database"):
                counted(source)
            continue
        found, other = counted(source)
        pd.testing.assert_frame_equal(other, frame, check_freq=False)
        assert found.bound == expected.bound
        assert not found.public


def test_postgresql_counts_and_only_counts_are_fetched(
    events: pd.DataFrame, empty_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[tuple[str, int]] = []

    def noting(method: Callable[..., Any]) -> Callable[..., Any]:
        def fetch(self: Any, *args: Any, **kwargs: Any) -> Any:
            rows = method(self, *args, **kwargs)
            size = len(rows) if isinstance(rows, list) else 1
            fetched.append((self._query.query.decode() if self._query else "", size))
            return rows

        return fetch

    for name in ("fetchall", "fetchmany", "fetchone"):
        monkeypatch.setattr(psycopg.Cursor, name, noting(getattr(psycopg.Cursor, name)))
    source = database(empty_server, events)
    fetched.clear()
    _, frame = counted(source)
    of_events = [(sql, size) for sql, size in fetched if '"events"' in sql]
    (query, rows) = max(of_events, key=lambda one: one[1])
    assert rows <= int((frame.to_numpy() > 0).sum()) < len(events) / 4
    assert "ROW_NUMBER()" in query
    assert "COUNT(*)" in query
    for sql, _ in of_events:  # no column of the answer is a person
        assert sql.split("FROM")[0].count("person") <= sql.split("FROM")[0].count("(")


def test_a_query_takes_its_parameters_bound(events: pd.DataFrame, empty_server: str) -> None:
    evil = "x'; DROP TABLE events; --"
    url = database(empty_server, events).partition("#")[0]
    query = "SELECT * FROM events WHERE place <> :evil AND time < :before"
    parameters = {"evil": evil, "before": "2024-01-03"}
    _, frame = counted(url, query=query, parameters=parameters)
    _, whole = counted(f"{url}#events", EventsConfig(end="2024-01-03"))
    pd.testing.assert_frame_equal(frame, whole, check_freq=False)
    for bad, said in (
        ("DELETE FROM events", "not a SELECT"),
        ("SELECT 1; DROP TABLE events", "single SELECT"),
        ("WITH d AS (DELETE FROM events RETURNING *) SELECT * FROM d", "not a SELECT"),
        ("SELECT * FROM events WHERE place = :other", "'evil'|'other'|'before'"),
    ):
        with pytest.raises(DataError, match=said):
            counted(url, query=bad, parameters=parameters if ":" in bad else {})


def test_counts_of_a_query(tmp_path: Path) -> None:
    counts = read("synthetic:days=3").frame
    url = database(f"sqlite:///{tmp_path / 'c.db'}", counts, "counts").partition("#")[0]
    query = "SELECT * FROM counts WHERE time < :before"
    found = read(url, query=query, parameters={"before": "2024-01-02"}).frame
    assert len(found) == 48


@pytest.mark.parametrize("table", ['x"; DROP TABLE y; --', "sélect", "a b.c"[:3]])
def test_hostile_table_names_are_names(table: str, events: pd.DataFrame, empty_server: str) -> None:
    source = database(empty_server, events.head(3000), table)
    assert len(counted(source)[1]) > 1
    with pytest.raises(DataError, match="no table"):
        counted(source + '"; DROP')


def zoned(times: list[str]) -> pd.DataFrame:
    moments = pd.DatetimeIndex(pd.to_datetime(times, utc=True))
    frame = pd.DataFrame({"person": np.arange(len(times)), "time": moments, "place": "north"})
    other = frame.assign(person=frame["person"] + 1000, place="south")
    return pd.concat([frame, other], ignore_index=True)


@pytest.mark.parametrize("server", [False, True])
def test_nights_of_clock_change(
    server: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """In spring an hour of the clock is not; in autumn an hour of the clock is twice as long."""
    spring = zoned([f"2024-03-{day} {hour:02}:30Z" for day in (30, 31) for hour in range(24)])
    autumn = zoned([f"2024-10-{day} {hour:02}:30Z" for day in (26, 27) for hour in range(24)])
    paris = EventsConfig(
        interval="1h", timezone="Europe/Paris", start="2024-03-30", end="2024-04-01"
    )
    sources = []
    for name, frame in (("spring", spring), ("autumn", autumn)):
        if server:
            url = request.getfixturevalue("empty_server")
            sources.append(database(url, frame, name))
        else:
            frame.to_parquet(tmp_path / f"{name}.parquet")
            sources.append(str(tmp_path / f"{name}.parquet"))
    table, frame = counted(sources[0], paris, Limits("user-day", 3))
    assert table.timezone == "Europe/Paris"
    gone = frame.index[frame["north"].isna()]
    assert list(gone) == [pd.Timestamp("2024-03-31 02:00")]
    assert frame["north"].sum() == 46  # 22:30Z and 23:30Z on the 31st are in April
    assert (frame.loc["2024-03-31 03:00":, "north"] == 1).all()
    again = EventsConfig(
        interval="1h", timezone="Europe/Paris", start="2024-10-26", end="2024-10-28"
    )
    _, frame = counted(sources[1], again, Limits("user-day", 3))
    assert frame.loc["2024-10-27 02:00", "north"] == 2
    assert frame["north"].isna().sum() == 0
    assert frame.loc["2024-10-27 03:00", "north"] == 1
    _, utc = counted(sources[1], EventsConfig(interval="1h"), Limits("user-day", 3))
    assert (utc["north"] == 1).all()


def test_days_of_the_bound_are_days_of_the_clock(tmp_path: Path) -> None:
    """One person, every half-hour of two days of Paris: K on each of them, not on days of UTC."""
    times = pd.date_range(
        "2024-01-01", "2024-01-03", freq="30min", inclusive="left", tz="Europe/Paris"
    )
    one = pd.DataFrame({"person": 1, "time": times.tz_convert("UTC"), "place": "a"})
    two = pd.DataFrame({"person": 2, "time": times[:1].tz_convert("UTC"), "place": "b"})
    pd.concat([one, two]).to_parquet(tmp_path / "e.parquet")
    _, frame = counted(
        str(tmp_path / "e.parquet"), EventsConfig(timezone="Europe/Paris"), Limits("user-day", 7)
    )
    days = frame["a"].groupby(frame.index.date).sum()
    assert list(days) == [7, 7]


def test_h3_cells_polygons_and_mappings(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    size = 400
    frame = pd.DataFrame(
        {
            "person": np.arange(size),
            "time": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 7200, size), "s"),
            "lat": rng.uniform(48.80, 48.90, size),
            "lon": rng.uniform(2.25, 2.45, size),
        }
    )
    frame.to_parquet(tmp_path / "e.parquet")
    source = str(tmp_path / "e.parquet")
    places: dict[str, Any] = {"latitude": "lat", "longitude": "lon"}
    everybody = Limits("user")
    _, cells = counted(source, EventsConfig(**places, h3=6), everybody)
    expected = [h3.latlng_to_cell(*pair, 6) for pair in frame[["lat", "lon"]].to_numpy()]
    assert cells.sum().to_dict() == pd.Series(expected).value_counts().to_dict()

    def box(name: str, west: float, east: float) -> dict[str, Any]:
        ring = [[west, 48.8], [east, 48.8], [east, 48.85], [west, 48.85], [west, 48.8]]
        shape = {"type": "Polygon", "coordinates": [ring]}
        return {"type": "Feature", "properties": {"name": name}, "geometry": shape}

    shapes = [box("west", 2.25, 2.35), box("east", 2.35, 2.45), box("sea", 0, 0.1)]
    path = tmp_path / "zones.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": shapes}))
    _, zones = counted(source, EventsConfig(**places, polygons=str(path)), everybody)
    south = frame["lat"] <= 48.85
    west = frame["lon"] < 2.35
    assert zones.sum().to_dict() == {
        "east": (south & ~west).sum(),
        "sea": 0,
        "west": (south & west).sum(),
    }

    mapping = tmp_path / "cells.csv"
    names = sorted(set(expected))
    pd.DataFrame({"place": names[:-1], "region": ["a", *["b"] * (len(names) - 2)]}).to_csv(
        mapping, index=False
    )
    _, mapped = counted(source, EventsConfig(**places, h3=6, mapping=str(mapping)), everybody)
    totals = cells.sum()
    assert mapped.sum().to_dict() == {"a": totals[names[0]], "b": totals[names[1:-1]].sum()}
    frame.assign(place=expected).to_parquet(tmp_path / "cells.parquet")
    _, given = counted(
        str(tmp_path / "cells.parquet"), EventsConfig(mapping=str(mapping)), everybody
    )
    pd.testing.assert_frame_equal(given, mapped, check_freq=False)


def test_declared_regions_and_period_make_the_panel(events: pd.DataFrame, tmp_path: Path) -> None:
    events.to_parquet(tmp_path / "e.parquet")
    config = EventsConfig(
        start="2023-12-31", end="2024-01-02", regions=("region 2", "region 9", "region 1")
    )
    _, frame = counted(str(tmp_path / "e.parquet"), config, Limits("user-day"))
    assert list(frame.columns) == ["region 2", "region 9", "region 1"]
    assert len(frame) == 96
    assert (frame["region 9"] == 0).all()
    assert (frame.loc["2023-12-31"] == 0).all(axis=None)
    expected = read(CITY).frame.set_index("time").loc["2024-01-01", "region 1"]
    np.testing.assert_array_equal(frame.loc["2024-01-01", "region 1"], expected)


def test_weights(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "person": [1, 1, 2, 3],
            "place": ["a", "a", "a", "b"],
            "weight": [1, 9, 2, 0],
            "time": pd.to_datetime(
                ["2024-01-01 00:05", "2024-01-01 00:06", "2024-01-01 00:07", "2024-01-01 01:00"]
            ),
        }
    )
    frame.to_parquet(tmp_path / "e.parquet")
    config = EventsConfig(weight="weight", regions=("a", "b"))
    table, counts = counted(str(tmp_path / "e.parquet"), config, Limits("user-day", weight=3))
    assert counts["a"].iloc[0] == 3 + 2
    assert table.bound.sensitivity == 3 * 3**0.5
    config = EventsConfig(weight="weight", min_weight=2, regions=("a", "b"), end="2024-01-01 01:30")
    _, counts = counted(str(tmp_path / "e.parquet"), config, Limits("user-day", weight=100))
    assert counts["a"].iloc[0] == 9 + 2


def test_how_often_people_are_seen() -> None:
    found = seen_intervals(CITY, EventsConfig(), "user-day")
    seen = found.persons
    frame = made_up(CITY)
    often = frame.groupby(["person", frame["time"].dt.date])["time"].nunique()
    for day, line in zip(sorted({key[1] for key in often.index}), seen.to_numpy(), strict=True):
        expected = often.xs(day, level=1).value_counts()
        assert {int(n) + 1: line[n] for n in np.flatnonzero(line)} == expected.to_dict()
    assert found.public
    whole = seen_intervals(CITY, EventsConfig(), "user")
    assert whole.persons.to_numpy().sum() == frame["person"].nunique()


@pytest.mark.parametrize("unit", ["user", "user-week", "user-day"])
def test_in_how_many_regions_people_are_seen(unit: str) -> None:
    found = seen_regions(CITY, EventsConfig(), unit)
    frame = made_up(CITY)
    start = {"user": frame["time"].min(), "user-week": pd.Timestamp("2024-01-01")}
    when = frame["time"].dt.normalize() if unit == "user-day" else start[unit]
    cells = frame.assign(unit=when).drop_duplicates(["person", "time", "place"])
    units = cells.groupby(["unit", "person"])["place"].agg(["nunique", "size"])
    assert found.public
    assert list(found.persons.columns) == list("123456")
    for values, expected in (
        (found.persons, units.groupby(["unit", "nunique"]).size()),
        (found.cells, units.groupby(["unit", "nunique"])["size"].sum()),
    ):
        wide = expected.unstack(fill_value=0).rename(columns=str)
        assert list(values.index) == list(wide.index)
        np.testing.assert_array_equal(
            values.to_numpy(), wide.reindex(columns=values.columns, fill_value=0).to_numpy()
        )
    assert found.left_out(6) == 0


def test_what_a_bound_on_regions_cuts_is_what_was_expected() -> None:
    city = "synthetic:days=4,persons=1000"
    found = seen_regions(city, EventsConfig(), "user-day")
    whole = counted(city, limits=Limits("user-day", None, 6))[1].to_numpy().sum()
    for most in (1, 2, 3):
        limits = Limits("user-day", None, 1, 1, most)
        kept = counted(city, limits=limits)[1].to_numpy().sum()
        assert 1 - kept / whole == pytest.approx(found.left_out(most), abs=0.01)
    assert found.left_out(1) > found.left_out(2) > found.left_out(3)


def test_regions_of_people_need_declared_regions(events: pd.DataFrame, tmp_path: Path) -> None:
    events.to_parquet(tmp_path / "e.parquet")
    period = EventsConfig(start="2024-01-01", end="2024-01-05")
    with pytest.raises(DataError, match="regions of the panel are not declared"):
        seen_regions(str(tmp_path / "e.parquet"), period, "user-day")
    with pytest.raises(DataError, match="unit='interval-2' has no bound on events"):
        seen_regions(CITY, EventsConfig(), "interval-2")
