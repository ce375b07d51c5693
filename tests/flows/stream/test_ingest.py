"""`veilcast ingest`: incremental, idempotent, charged; late events reported and nothing changed."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import create_engine, inspect
from typer.testing import CliRunner

from data import store
from data.sources import read
from data.sources.synthetic import events as made_up
from dp.ledger import Ledger
from flows.cli.app import app
from flows.settings import Home


@pytest.fixture(params=["sqlite", "postgresql"])
def base(request: pytest.FixtureRequest, home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose store and ledger are on either database."""
    if request.param == "postgresql":
        import psycopg

        server, name = (
            request.getfixturevalue("postgres"),
            f"i{abs(hash(request.node.name)) % 10**9}",
        )
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        monkeypatch.setenv("VEILCAST_DATABASE_URL", f"{server}/{name}")
    return home


def ingest(source: str, *words: str, code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["ingest", source, *words, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if code == 0 else {"error": result.stderr}


PLAIN = (
    "--events",
    "--unit",
    "user-day",
    "--set",
    "events.start=2024-01-01",
    "--set",
    "events.regions=" + str([f"region {n}" for n in range(1, 7)]).replace("'", '"'),
)
EVENTS = (*PLAIN, "--set", "privacy.intervals_per_unit=12")


def write(path: Path, frame: pd.DataFrame) -> str:
    frame.sample(frac=1, random_state=0).to_parquet(path)
    return str(path)


def test_days_come_in_one_after_the_other(base: Home, tmp_path: Path) -> None:
    frame, path = made_up("synthetic:days=4,persons=100"), tmp_path / "e.parquet"
    day = [pd.Timestamp("2024-01-01") + pd.Timedelta(days=n) for n in range(5)]
    source = write(path, frame[frame["time"] < day[2]])
    first = ingest(source, *EVENTS, "--until", "2024-01-02T23:30")
    assert first["new"] == 95
    assert first["release"]["sensitivity"] == 12**0.5
    assert first["release"]["neighbours"] == "add or remove the records of one unit"
    before = store.read_panel(store.open_store(base.database_url), source).counts
    again = ingest(source, *EVENTS, "--until", "2024-01-02T23:30")
    assert again["new"] == 0
    assert again["release"] is None
    assert len(Ledger(base.database_url).entries()) == 1
    ingest(write(path, frame), *EVENTS, "--until", "2024-01-04")
    third = ingest(source, *EVENTS, "--until", "2024-01-04T23:30")
    assert third["from"] == "2024-01-04 00:00:00"
    assert third["late"]["intervals"] == 0
    kept = store.open_store(base.database_url)
    after = store.read_panel(kept, source).counts
    pd.testing.assert_frame_equal(after.loc[before.index], before, check_freq=False)
    assert len(after) == 4 * 48 - 1
    releases = store.panel_releases(kept, source)
    assert [one.ledger_entry for one in releases] == [
        entry.id for entry in Ledger(base.database_url).entries()
    ]
    assert not (base.root / "veilcast.raw.db").exists()


def test_late_events_are_reported_and_change_nothing(base: Home, tmp_path: Path) -> None:
    frame, path = made_up("synthetic:days=3,persons=80"), tmp_path / "e.parquet"
    moment = pd.Timestamp("2024-01-02 09:30")
    delayed = (frame["time"] == moment) & (frame["person"] < 40)
    cut = frame["time"] < pd.Timestamp("2024-01-03")
    two, three = ("--until", "2024-01-02T23:30"), ("--until", "2024-01-03T23:30")
    source = write(path, frame[cut & ~delayed])
    ingest(source, *PLAIN, *two)
    kept = store.open_store(base.database_url)
    before = store.read_panel(kept, source).counts
    write(path, frame[cut])
    late = ingest(source, *PLAIN, *two)["late"]
    assert late["intervals"] == 1
    assert late["from"] == late["to"] == str(moment)
    assert "evaluated on raw data, not a private release" in late["note"]
    write(path, frame)
    found = ingest(source, *PLAIN, *three)
    assert found["new"] > 40
    assert found["late"]["intervals"] == 1
    assert ingest(source, *PLAIN, *three, "--late", "0d")["late"]["intervals"] == 0
    after = store.read_panel(kept, source).counts
    pd.testing.assert_frame_equal(after.loc[before.index], before, check_freq=False)


def test_another_bound_tomorrow_is_no_late_event(home: Home, tmp_path: Path) -> None:
    frame, path = made_up("synthetic:days=3,persons=60"), tmp_path / "e.parquet"
    source = write(path, frame[frame["time"] < "2024-01-03"])
    ingest(source, *EVENTS, "--until", "2024-01-03")
    write(path, frame)
    found = ingest(source, *PLAIN, "--until", "2024-01-04")
    assert found["new"] > 40
    assert found["late"]["intervals"] == 0


def test_raw_counts_only_if_the_recipe_says_so(base: Home, tmp_path: Path) -> None:
    source = write(tmp_path / "e.parquet", made_up("synthetic:days=2,persons=50"))
    found = ingest(
        source,
        *PLAIN,
        "--set",
        "source.keep_raw=true",
        "--until",
        "2024-01-03",
    )
    assert found["kept_raw"]
    raw = store.read_raw(store.open_raw(base.database_url), source)
    expected = read("synthetic:days=2,persons=50").frame.set_index("time")
    pd.testing.assert_frame_equal(raw.counts, expected, check_freq=False, check_dtype=False)
    noised = store.read_panel(store.open_store(base.database_url), source)
    assert (noised.values != raw.values).mean() > 0.8
    engine = create_engine(base.database_url.replace("postgresql:", "postgresql+psycopg:"))
    assert not [name for name in inspect(engine).get_table_names() if "raw" in name]
    engine.dispose()


def test_counts_are_ingested_as_well(base: Home, tmp_path: Path) -> None:
    counts, path = read("synthetic:days=4,persons=100").frame, tmp_path / "counts.csv"
    counts.iloc[:96].to_csv(path, index=False)
    one = ("--set", "source.regions_per_interval=1", "--unit", "user-day")
    assert ingest(str(path), *one)["new"] == 96
    changed = counts.copy()
    changed.iloc[90, 1] = changed.to_numpy()[90, 1] + 1
    changed.to_csv(path, index=False)
    found = ingest(str(path), *one)
    assert found["new"] == 96
    assert found["late"]["intervals"] == 1
    assert ingest(str(path), *one)["new"] == 0
    assert len(Ledger(base.database_url).entries()) == 2


def test_a_cap_refuses_and_nothing_is_written(home: Home, tmp_path: Path) -> None:
    source = write(tmp_path / "e.parquet", made_up("synthetic:days=2,persons=50"))
    until = ("--until", "2024-01-03")
    said = ingest(source, *EVENTS, *until, "--set", "privacy.cap_epsilon=0.5", code=3)["error"]
    assert "refused" in said
    assert store.panel_names(store.open_store(home.database_url)) == ()
    said = ingest(source, *EVENTS, "--set", "privacy.mechanism=none", code=2)["error"]
    assert "mechanism=input" in said
    said = ingest(source, *EVENTS, "--until", "soon", code=2)["error"]
    assert "--until" in said


def test_the_period_of_events_is_declared(home: Home, tmp_path: Path) -> None:
    """Never read off the last event: an event more does not move the end of what is released."""
    source = write(tmp_path / "e.parquet", made_up("synthetic:days=3,persons=50"))
    said = ingest(source, *EVENTS, code=2)["error"]
    assert "end of the period is not declared" in said
    assert "--until now" in said
    regions = PLAIN[:3] + PLAIN[5:]
    said = ingest(source, *regions, "--until", "2024-01-03", code=2)["error"]
    assert "start of the period is not declared" in said
    said = ingest(source, *PLAIN[:5], "--until", "2024-01-03", code=1)["error"]
    assert "regions of the panel are not declared" in said
    assert Ledger(home.database_url).entries() == ()
    found = ingest(source, *EVENTS, "--set", "events.end=2024-01-03")
    assert found["to"] == "2024-01-03 00:00:00"
    city = ingest("synthetic:days=2,persons=50", "--events", "--unit", "user-day")
    assert (city["from"], city["to"]) == ("2024-01-01 00:00:00", "2024-01-03 00:00:00")


def test_until_now_is_the_clock_of_the_panel(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = pd.date_range("2024-01-01", "2024-01-02", freq="30min", tz="UTC")
    frame = pd.DataFrame({"person": range(len(times)), "time": times, "place": "region 1"})
    source = write(tmp_path / "e.parquet", frame)
    now = pd.Timestamp("2024-01-02 01:10", tz="UTC")
    monkeypatch.setattr(pd.Timestamp, "now", lambda tz: now.tz_convert(tz))
    found = ingest(source, *EVENTS, "--until", "now", "--set", "events.timezone=Asia/Tokyo")
    assert found["to"] == "2024-01-02 10:00:00"
    said = ingest(str(tmp_path / "c.csv"), "--until", "now", code=2)["error"]
    assert "--until now is for events" in said
