"""Under a mechanism a record that cannot be one is left out, and decides about nothing else."""

import datetime
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import psycopg
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend

from data.errors import DataError
from data.events.config import EventsConfig
from data.events.contribution import seen_intervals
from data.events.read import Limits, read_events
from data.sources import Table

DAY: dict[str, Any] = {"interval": "6h", "start": "2024-01-03", "end": "2024-01-04"}
PLACES = EventsConfig(**DAY, regions=("a", "b"), weight="weight")
PARIS = EventsConfig(**DAY, regions=("a", "b"), timezone="Europe/Paris")
BOX = EventsConfig(**DAY, latitude="lat", longitude="lon", h3=5, box=(48.8, 2.2, 48.9, 2.5))
HEADER = "person,time,place,lat,lon,weight"
OTHERS = (
    "1,2024-01-03 10:00:00,a,48.85,2.3,1",
    "2,2024-01-03 11:00:00,b,48.86,2.4,2",
    '3,2024-01-03 12:00:00,"a",48.87,2.3,1',
)
HERS = {
    "time": (
        "yesterday",
        "",
        "12",
        "25:00",
        "2024-02-30",
        "infinity",
        "-infinity",
        "999999-01-01 00:00",
        "294247-01-10 04:00:54Z",
        "290309-12-22 (BC) 00:00:00Z",
        "2024-01-03T10:00 +01:00",
    ),
    "lat": ("91", "-90.001", "nan", "inf", "1e400", "x", "", "4 8"),
    "lon": ("181", "NaN", "-inf", "east", ""),
    "weight": ("-1", "", "1.5", "one", "99999999999999999999"),
    "place": ("", "é\t\\", "a\x00", "x" * 3_000_000),
    "person": ("",),
}
LINES = (
    b"",
    b"9",
    b"9,2024-01-03 10:00:00",
    b"9,2024-01-03 10:00:00,a,48.85,2.3,1,more",
    b'9,2024-01-03 10:00:00,"a,48.85,2.3,1',
    b'9,2024-01-03 10:00:00,"a"b,48.85,2.3,1',
    b"9,2024-01-03 10:00:00,\xff\xfe,48.85,2.3,1",
    b'"',
    b"\r",
    b"\x00\x01",
)


def read(path: Path, config: EventsConfig, *, look: bool = False) -> Table:
    return read_events(str(path), config, Limits("user", weight=2), secret=b"k", look=look)


def same(one: Table, other: Table) -> None:
    pd.testing.assert_frame_equal(one.frame, other.frame)
    assert (one.bound, one.timezone, one.name) == (other.bound, other.timezone, other.name)


def written(path: Path, lines: list[bytes], end: bytes = b"\n") -> Path:
    path.write_bytes(end.join([HEADER.encode(), *lines]) + end)
    return path


def with_line(path: Path, line: bytes, config: EventsConfig, at: int = 1) -> None:
    others = [one.encode() for one in OTHERS]
    without = read(written(path, others), config)
    assert without.frame.iloc[:, 1:].to_numpy().sum() >= 3
    for end in (b"\n", b"\r\n"):
        lines = [*others[:at], line, *others[at:]]
        same(read(written(path, lines, end), config), without)


@pytest.mark.parametrize("column", HERS)
def test_a_field_of_a_csv_file_leaves_out_its_record(column: str, tmp_path: Path) -> None:
    record = {
        "person": "9",
        "time": "2024-01-03 10:00:00",
        "place": "a",
        "lat": "48.85",
        "lon": "2.3",
        "weight": "1",
    }
    for value in HERS[column]:
        line = ",".join({**record, column: value}.values()).encode()
        with_line(tmp_path / "e.csv", line, BOX if column in ("lat", "lon") else PLACES)


@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_line_that_is_no_record_leaves_out_itself(at: int, tmp_path: Path) -> None:
    for line in LINES:
        with_line(tmp_path / "e.csv", line, PLACES, at)


@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(line=st.text('\r\n",\x00\x01 a19é\\#', max_size=12), at=st.integers(0, 3))
def test_no_line_moves_others(line: str, at: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    with_line(tmp_path_factory.mktemp("l") / "e.csv", line.encode(), PLACES, at)


GOOD = pd.DataFrame(
    {
        "person": ["1", "2", "3"],
        "place": ["a", "b", "a"],
        "lat": [48.85, 48.86, 48.87],
        "lon": [2.3, 2.4, 2.3],
        "weight": pd.array([1, 2, 1], "Int64"),
        "time": pd.to_datetime(["2024-01-03 10:00", "2024-01-03 11:00", "2024-01-03 12:00"]),
    }
)
HER = {
    "person": "9",
    "place": "a",
    "lat": 48.85,
    "lon": 2.3,
    "weight": 1,
    "time": pd.Timestamp("2024-01-03 10:00"),
}
FAR = pd.Timestamp(9223372036854, unit="s").as_unit("us"), pd.Timestamp(-(2**63) + 1).as_unit("us")


@pytest.mark.parametrize(
    ("column", "values", "config"),
    [
        ("person", (None, ""), PLACES),
        ("place", (None, "", "\x00"), PLACES),
        ("weight", (None, -1, -(2**63)), PLACES),
        ("time", (None, *FAR), PLACES),
        ("lat", (None, 90.5, float("inf"), float("nan"), -1e308), BOX),
        ("lon", (None, 180.5, float("-inf"), float("nan")), BOX),
    ],
)
def test_a_typed_value_leaves_out_its_record(
    column: str, values: tuple[Any, ...], config: EventsConfig, tmp_path: Path
) -> None:
    path = tmp_path / "e.parquet"
    GOOD.to_parquet(path)
    without = read(path, config)
    for value in values:
        her = pd.DataFrame([{**HER, column: value}]).astype({"weight": "Int64"})
        pd.concat([GOOD, her.astype({"time": "datetime64[us]"})]).to_parquet(path)
        same(read(path, config), without)


@pytest.mark.parametrize("kind", ["TIMESTAMP", "TIMESTAMPTZ", "DATE"])
def test_times_beyond_all_clocks_leave_out_their_record(kind: str, tmp_path: Path) -> None:
    """Engines cannot convert them; an error would tell that one is there."""
    config = PARIS if kind == "TIMESTAMPTZ" else EventsConfig(**DAY, regions=("a", "b"))
    latest = {
        "TIMESTAMP": "294247-01-10 04:00:54",
        "TIMESTAMPTZ": "294247-01-10 04:00:54+00",
        "DATE": "5000000-01-01",
    }[kind]
    found, path = [], tmp_path / "e.parquet"
    for hers in ((), (latest, "infinity", "-infinity")):
        rows = ["(1, '2024-01-03', 'a')", *(f"(9, '{time}', 'a')" for time in hers)]
        duckdb.sql(
            f"COPY (SELECT person, time::{kind} AS time, place FROM (VALUES {', '.join(rows)}) "
            f"AS t(person, time, place)) TO '{path}'"
        )
        found.append(read(path, config).frame)
    pd.testing.assert_frame_equal(found[0], found[1])
    assert found[0]["a"].sum() == 1


TIME = "2024-01-03 10:00:00"


@pytest.mark.parametrize(
    ("config", "hers"),
    [
        (
            EventsConfig(**DAY, regions=("a", "b")),
            [
                (9, "yesterday", "a", 1, 2),
                (9, "2024-01-03 odd", "a", 1, 2),
                (9, 5, "a", 1, 2),
                (9, TIME, None, 1, 2),
                (9, TIME, "", 1, 2),
                (None, TIME, "a", 1, 2),
            ],
        ),
        (BOX, [(9, TIME, "a", "x", 2.3), (9, TIME, "a", 48.85, b"x"), (9, TIME, "a", 91, 2.3)]),
    ],
)
def test_sqlite_holds_anything_in_a_column_of_any_type(
    config: EventsConfig, hers: list[Any], tmp_path: Path
) -> None:
    found, columns = [], "(person INT, time TIMESTAMP, place TEXT, lat REAL, lon REAL)"
    for number, more in enumerate(([], hers)):
        file = tmp_path / f"{number}.db"
        with closing(sqlite3.connect(file)) as base, base:
            base.execute(f"CREATE TABLE events {columns}")
            rows = [(1, TIME, "a", 48.85, 2.3), *more]
            base.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", rows)
        source = f"sqlite:///{file}#events"
        found.append(read_events(source, config, Limits("user"), secret=b"k").frame)
    pd.testing.assert_frame_equal(found[0], found[1])
    assert found[0].iloc[:, 1:].to_numpy().sum() == 1


def test_values_of_a_server_leave_out_their_record(postgres: str) -> None:
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS odd")
        connection.execute(
            "CREATE TABLE odd (person INT, time TIMESTAMPTZ, lat NUMERIC, lon FLOAT8,"
            " weight BIGINT)"
        )
        connection.execute("INSERT INTO odd VALUES (1, '2024-01-03 10:00Z', 48.85, 2.3, 1)")
        source, config = f"{postgres}/postgres#odd", {**vars(BOX), "weight": "weight"}
        paris = EventsConfig(**{**config, "timezone": "Europe/Paris"})
        limits, found = Limits("user", weight=2), []
        found.append(read_events(source, paris, limits, secret=b"k").frame)
        for time, lat, lon, weight in (
            ("infinity", 48.85, 2.3, 1),
            ("-infinity", 48.85, 2.3, 1),
            ("294276-12-31Z", 48.85, 2.3, 1),
            ("2024-01-03", "NaN", 2.3, 1),
            ("2024-01-03", "1e400", 2.3, 1),
            ("2024-01-03", 48.85, "NaN", 1),
            ("2024-01-03", 48.85, "inf", 1),
            ("2024-01-03", 48.85, 2.3, -1),
            (None, None, None, None),
        ):
            connection.execute(
                "INSERT INTO odd VALUES (9, %s, %s, %s, %s)", (time, lat, lon, weight)
            )
        found.append(read_events(source, paris, limits, secret=b"k").frame)
        connection.execute("DROP TABLE odd")
    pd.testing.assert_frame_equal(found[0], found[1])
    assert found[0].iloc[:, 1:].to_numpy().sum() == 1


TIMES = {
    "2024-01-03 10:00:00": (1, None),
    "2024-01-03": (0, None),
    "2024-01-03T10:00Z": (1, 1),
    "2024-01-03T12:30:00+01:00": (1, 2),
    "2024-01-03 07:00-0500": (2, 2),
    "2024-01-03 10:00:00.5+05": (0, 1),
    "2024-01-03 10:00:00 Europe/Paris": (1, 1),
    "2024-01-03 10:00:00 Europe/Nowhere": (None, None),
    "soon": (None, None),
}
"""Interval of the day that a time is in, by UTC and by the clock of Paris; None if it is left out."""


@pytest.mark.parametrize("config", [PARIS, EventsConfig(**DAY, regions=("a", "b"))])
def test_each_time_is_read_by_itself(config: EventsConfig, tmp_path: Path) -> None:
    expected = [0, 0, 0, 0]
    for number, (time, places) in enumerate(TIMES.items()):
        at = places[config.timezone != "UTC"]
        path = tmp_path / f"{number}.csv"
        path.write_text(f"person,time,place\n{number},{time},a\n")
        alone = [0, 0, 0, 0]
        if at is not None:
            alone[at] += 1
            expected[at] += 1
        table = read(path, config)
        assert list(table.frame["a"]) == alone, time
        assert table.timezone == ("Europe/Paris" if config is PARIS else None)
    lines = [f"{number},{time},a" for number, time in enumerate(TIMES)]
    (tmp_path / "all.csv").write_text("\n".join(["person,time,place", *lines]))
    assert list(read(tmp_path / "all.csv", config).frame["a"]) == expected
    seen = seen_intervals(str(tmp_path / "all.csv"), config, "user-day")
    assert seen.persons.to_numpy().sum() == sum(expected)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_nothing_is_asked_of_private_events_but_their_counts(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, asked = tmp_path / f"e.{kind}", []
    GOOD.to_parquet(path) if kind == "parquet" else GOOD.to_csv(path, index=False)
    execute = Backend.execute

    def noted(self: Backend, expr: Any, **more: Any) -> Any:
        asked.append(expr)
        return execute(self, expr, **more)

    monkeypatch.setattr(Backend, "execute", noted)
    read(path, PLACES)
    assert [list(one.columns) for one in asked] == [["interval", "region", "count"]]


@pytest.mark.parametrize(
    "record", ["anna,yesterday,north", "1,2024-01-03 10:00:00,a", "time,x,place"]
)
def test_what_is_in_the_place_of_a_header_is_not_shown(record: str, tmp_path: Path) -> None:
    said = []
    for line in (record, "berta,tomorrow,south"):
        (tmp_path / "e.csv").write_text(f"{line}\n" * 3)
        with pytest.raises(DataError, match="no column 'person' in its header line") as caught:
            read(tmp_path / "e.csv", PLACES)
        said.append(str(caught.value))
    assert said[0] == said[1]
    (tmp_path / "folder").mkdir()
    for name, header in (("a", "person,time,place"), ("b", record)):
        (tmp_path / "folder" / f"{name}.csv").write_text(f"{header}\n")
    with pytest.raises(DataError, match="need the same header line") as caught:
        read(tmp_path / "folder", PLACES)
    assert record not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("weight", 0.5, "expected whole numbers"),
        ("time", 5, "names no moment"),
        ("person", 0.5, "expected whole numbers or text"),
        ("place", 1.5, "expected text or whole"),
        ("time", datetime.time(1), "names no moment"),
    ],
)
def test_a_wrong_type_is_refused(column: str, value: Any, said: str, tmp_path: Path) -> None:
    GOOD.assign(**{column: value}).to_parquet(tmp_path / "e.parquet")
    with pytest.raises(DataError, match=said):
        read(tmp_path / "e.parquet", PLACES)
