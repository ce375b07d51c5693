"""The store on SQLite and PostgreSQL: idempotent, never changed, raw counts apart."""

import os
import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import create_engine, inspect, text

from data import store
from data.errors import DataError
from data.store import Forecast, Released, Run, open_raw, open_store
from data.store.raw_tables import RawBase
from data.store.tables import Base

NOW = datetime(2024, 2, 1, tzinfo=UTC)


def counts(start: str, periods: int, seed: int = 0) -> pd.DataFrame:
    times = pd.date_range(start, periods=periods, freq="30min", name="time")
    values = np.random.default_rng(seed).integers(-5, 90, (periods, 3)).astype(float)
    return pd.DataFrame(values, times, ["north", "south", "ea'st"])


def released(key: str) -> Released:
    return Released(key, 7, "user-day", 1.0, 1e-7, 12.5, 4.0)


def test_a_panel_grows_and_comes_back_with_its_gaps(url: str) -> None:
    one, two = counts("2024-01-01", 48), counts("2024-01-02", 48, 1)
    one.iloc[5] = np.nan
    base = open_store(url)
    assert store.released_until(base, "city") is None
    assert store.append_panel(base, "city", one, released("a")).new == 47
    assert store.append_panel(base, "city", two, released("b")).new == 48
    panel = store.read_panel(open_store(url), "city")
    pd.testing.assert_frame_equal(panel.counts, pd.concat([one, two]), check_freq=False)
    assert store.panel_releases(base, "city") == (released("a"), released("b"))
    assert store.released_until(base, "city") == pd.Timestamp("2024-01-03")
    assert store.panel_names(base) == ("city",)
    part = store.read_panel(base, "city", start=datetime(2024, 1, 2), end=datetime(2024, 1, 2, 1))
    assert len(part.times) == 2


def test_the_same_release_again_changes_nothing(url: str) -> None:
    base, first = open_store(url), counts("2024-01-01", 48)
    store.append_panel(base, "city", first, released("a"))
    again = store.append_panel(base, "city", first + 1, released("a"))
    assert (again.new, again.known) == (0, 48)
    late = store.append_panel(base, "city", counts("2024-01-01 23:00", 6, 3), released("b"))
    assert (late.new, late.known) == (4, 2)
    kept = store.read_panel(base, "city").counts
    pd.testing.assert_frame_equal(kept.iloc[:48], first, check_freq=False)


def test_other_regions_or_intervals_are_refused(url: str) -> None:
    base = open_store(url)
    store.append_panel(base, "city", counts("2024-01-01", 4), released("a"))
    with pytest.raises(DataError, match="not the same ones"):
        store.append_panel(
            base, "city", counts("2024-01-02", 4).rename(columns={"north": "x"}), released("b")
        )
    with pytest.raises(DataError, match="intervals of 30 minutes, these are of 60"):
        store.append_panel(base, "city", counts("2024-01-02", 4).iloc[::2], released("b"))
    with pytest.raises(DataError, match="no panel 'town'; it has city"):
        store.read_panel(base, "town")
    assert len(store.panel_releases(base, "city")) == 1


def test_forecasts(url: str) -> None:
    base, values = open_store(url), counts("2024-01-03", 2)
    promise: dict[str, Any] = {
        "mechanism": "input",
        "unit": "user-day",
        "epsilon": 1.0,
        "delta": 1e-7,
    }
    early = Forecast("r1", NOW, values, **promise, lower=values - 2, upper=values + 2)
    paris = timezone(timedelta(hours=1))
    later = Forecast("r2", (NOW + timedelta(hours=1)).astimezone(paris), values + 5, "none")
    assert store.append_forecasts(base, "city", early) == 6
    assert store.append_forecasts(base, "city", early) == 0
    assert store.append_forecasts(base, "city", later) == 6
    found = store.latest_forecasts(base, "city")
    assert set(found["made_at"]) == {pd.Timestamp("2024-02-01 01:00")}
    wide = found.pivot(index="time", columns="region", values="value")[list(values.columns)]
    np.testing.assert_array_equal(wide.to_numpy(), values.to_numpy() + 5)
    assert found[["lower", "upper", "epsilon"]].isna().all(axis=None)
    first = store.latest_forecasts(base, "city", run="r1")
    np.testing.assert_array_equal(first["upper"] - first["lower"], 4.0)
    assert set(first["epsilon"]) == {1.0}
    assert len(store.read_forecasts(base, "city")) == 12
    half = store.read_forecasts(base, "city", start=datetime(2024, 1, 3, 0, 30))
    assert len(half) == 6
    assert store.latest_forecasts(base, "nowhere").empty


def test_runs(url: str) -> None:
    base = open_store(url)
    for number in range(3):
        run = Run(f"r{number}", "city", NOW + timedelta(days=number), {"rmse": number})
        assert store.append_run(base, run)
    assert not store.append_run(base, Run("r0", "city", NOW, {}))
    assert [one.run for one in store.read_runs(base, "city")] == ["r2", "r1", "r0"]
    assert store.read_runs(base)[-1].document == {"rmse": 0}


def test_migrations_make_the_tables_that_are_declared(url: str) -> None:
    for base, tables in ((open_store(url), Base), (open_raw(url), RawBase)):
        found = inspect(base.engine)
        for table in tables.metadata.sorted_tables:
            schema = table.schema if url.startswith("postgresql") else None
            made = {one["name"]: one for one in found.get_columns(table.name, schema=schema)}
            assert list(made) == [column.name for column in table.columns]
            for column in table.columns:
                assert made[column.name]["nullable"] == column.nullable
                assert isinstance(made[column.name]["type"], type(column.type).__mro__[1])
            keys = found.get_pk_constraint(table.name, schema=schema)["constrained_columns"]
            assert keys == [column.name for column in table.primary_key]
            indices = {one["name"] for one in found.get_indexes(table.name, schema=schema)}
            assert {str(index.name) for index in table.indexes} <= indices


def test_a_newer_schema_is_refused(url: str) -> None:
    base = open_store(url)
    with base.engine.begin() as connection:
        connection.execute(text("UPDATE store_version SET version_num = '9999'"))
    with pytest.raises(DataError, match="schema 9999, this veilcast knows 0002"):
        open_store(url)


def test_raw_counts_are_apart(url: str, tmp_path: Path) -> None:
    base = open_store(url)
    raw = open_raw(url)
    first = counts("2024-01-01", 4)
    assert store.append_raw(raw, "city", first).new == 4
    assert store.append_raw(raw, "city", first + 1).new == 0
    pd.testing.assert_frame_equal(store.read_raw(raw, "city").counts, first, check_freq=False)
    assert not [name for name in inspect(base.engine).get_table_names() if "raw" in name]
    if url.startswith("sqlite"):
        mode = os.stat(tmp_path / "veilcast.raw.db").st_mode
        assert stat.S_IMODE(mode) == 0o600


def test_others_read_the_store_and_not_the_raw_counts(
    request: pytest.FixtureRequest, url: str
) -> None:
    if not url.startswith("postgresql"):
        pytest.skip("grants are PostgreSQL's")
    base, raw = open_store(url), open_raw(url)
    store.append_raw(raw, "city", counts("2024-01-01", 4))
    with base.engine.begin() as connection:
        connection.execute(text("DROP ROLE IF EXISTS analyst"))
        connection.execute(text("CREATE ROLE analyst LOGIN"))
        connection.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO analyst"))
    reader = create_engine(url.replace("postgresql://veilcast", "postgresql+psycopg://analyst"))
    with reader.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM store_panels")).scalar() == 0
        with pytest.raises(Exception, match="permission denied for schema veilcast_raw"):
            connection.execute(text("SELECT count(*) FROM veilcast_raw.raw_counts"))
    reader.dispose()
    with base.engine.begin() as connection:
        connection.execute(text("DROP OWNED BY analyst"))
        connection.execute(text("DROP ROLE analyst"))


def test_an_impossible_database_is_one_error() -> None:
    for url in ("mysql://host/db", "nonsense", "postgresql://me:secret@127.0.0.1:1/none"):
        with pytest.raises(DataError) as caught:
            open_store(url)
        assert "secret" not in str(caught.value)
