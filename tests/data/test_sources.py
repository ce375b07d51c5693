import hashlib
import http.server
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import create_engine

from data.errors import DataError
from data.sources import paris, read, synthetic
from data.sources.city import City, counts, events
from data.validate import to_panel


def wide(days: int = 35) -> pd.DataFrame:
    times = pd.date_range("2024-01-01", periods=days * 24, freq="1h", name="time")
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.integers(50, 90, (len(times), 2)), times, ["north", "south"])


def long(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.reset_index().melt("time", var_name="zone", value_name="count")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("shape", ["wide", "long"])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_csv_in_every_form(tmp_path: Path, separator: str, shape: str, suffix: str) -> None:
    path = tmp_path / f"counts{suffix}"
    frame = wide()
    (frame.reset_index() if shape == "wide" else long(frame)).to_csv(
        path, sep=separator, index=False
    )
    panel, _ = to_panel(read(str(path)))
    pd.testing.assert_frame_equal(
        panel.counts, frame.astype(float), check_freq=False, check_index_type=False
    )


@pytest.mark.parametrize("shape", ["wide", "long", "indexed"])
def test_parquet_in_every_form(tmp_path: Path, shape: str) -> None:
    path, frame = tmp_path / "counts.parquet", wide()
    forms = {"wide": frame.reset_index(), "long": long(frame), "indexed": frame}
    forms[shape].to_parquet(path)
    panel, _ = to_panel(read(str(path)))
    assert np.array_equal(panel.values, frame.to_numpy(float))


def test_a_database_table(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'city.db'}"
    wide().reset_index().to_sql("hourly", create_engine(url), index=False)
    panel, _ = to_panel(read(f"{url}#hourly"))
    assert np.array_equal(panel.values, wide().to_numpy(float))
    with pytest.raises(DataError, match="no table 'daily'; there are hourly"):
        read(f"{url}#daily")


def test_a_password_is_never_shown() -> None:
    with pytest.raises(DataError) as error:
        read("postgresql://me:hunter2@127.0.0.1:1/city#hourly")
    assert "hunter2" not in str(error.value)


def test_a_missing_region_row_is_missing_and_not_zero(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    long(wide()).drop(index=3).to_csv(path, index=False)
    with pytest.raises(DataError, match=r"nan-count: column 'north'.*row 3"):
        to_panel(read(str(path)))


def test_declarations_override_the_source() -> None:
    table = read("synthetic:days=1", regions_per_interval=3, persons=9)
    assert (table.regions_per_interval, table.persons) == (3, 9)
    with pytest.raises(DataError, match="persons=0"):
        read("synthetic:days=1", persons=0)
    assert table.regions_ever is None
    assert read("synthetic:days=1", regions_ever=2).regions_ever == 2
    with pytest.raises(DataError, match="regions_ever=0"):
        read("synthetic:days=1", regions_ever=0)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("moon", "unknown source 'moon'"),
        ("postgresql://me:pw@host/db", "add #table"),
        ("synthetic:size=3", "unknown setting 'size=3'"),
        ("synthetic:days=many", "days='many'"),
        ("synthetic:days=0", "days=0 must be from 1"),
        ("synthetic:interval=7h", "interval=7h"),
    ],
)
def test_bad_source_names(source: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as error:
        read(source)
    assert "pw" not in str(error.value)


# The city


def test_counts_are_the_distinct_persons_of_the_events() -> None:
    city = City(days=3, persons=300)
    seen = events(city)
    assert not seen.duplicated(["person", "time"]).any()  # M = 1, as declared
    counted = seen.groupby(["time", "place"], observed=False)["person"].nunique().unstack()
    expected = counts(city)
    assert np.array_equal(counted.reindex(expected.index, fill_value=0).to_numpy(), expected)


def test_a_city_is_its_configuration() -> None:
    city = City(days=8, persons=200, seed=3)
    assert counts(city).equals(counts(city))
    assert not counts(city).equals(counts(City(days=8, persons=200, seed=4)))


def test_the_default_city_has_a_rhythm_and_is_no_clockwork() -> None:
    started = time.perf_counter()
    table = read("synthetic")
    assert time.perf_counter() - started < 20  # a run-away check, not a benchmark
    panel, found = to_panel(table)
    assert not [one for one in found if one.severity != "note"]
    assert len(panel.times) >= 60 * 48
    assert len(panel.regions) == 6
    assert panel.persons is not None
    assert panel.persons >= 2000
    values = panel.values[:, 0].reshape(-1, 48)
    weekdays, sundays = values[:5], values[6::7]
    assert weekdays[:, 22].mean() > 1.5 * sundays[:, 22].mean()  # noon in the centre
    assert np.abs(values[0] - values[7]).mean() > 3  # two Mondays differ


# paris-cdr


@pytest.fixture
def published() -> Path:
    return paris._locate("http://127.0.0.1:9/none")


def test_paris_is_what_was_published(published: Path) -> None:
    panel, found = to_panel(read("paris-cdr"), values=True)
    assert panel.observed.sum() == 3456
    assert len(panel.times) - 3456 == 48  # one day is absent
    assert not panel.observed[panel.times.normalize() == "2020-09-17"].any()
    assert len(panel.regions) == 6
    assert panel.regions_per_interval == 2
    assert [one.rule for one in found if one.severity == "error"] == []
    assert {one.rule for one in found} == {"missing-intervals", "nested-regions"}


def test_persistence_is_the_published_one(published: Path) -> None:
    panel, _ = to_panel(read("paris-cdr"))
    test, before = panel.values[-336:], panel.values[-337:-1]
    rmse = np.sqrt(np.mean((test - before) ** 2, axis=0)).mean()
    assert rmse == pytest.approx(1503.6, abs=0.1)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine that has no copy: no VEILCAST_DATA, an empty cache."""
    monkeypatch.delenv("VEILCAST_DATA", raising=False)
    monkeypatch.setattr(paris, "_cache", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def test_offline_and_absent_says_where_to_put_it(nowhere: Path) -> None:
    with pytest.raises(DataError) as error:
        paris.read("http://127.0.0.1:9/none")
    assert str(nowhere) in str(error.value)
    assert "VEILCAST_DATA" in str(error.value)
    assert not nowhere.exists()


def test_download_is_verified_and_cached(
    published: Path, nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "good.csv").write_bytes(published.read_bytes())
    (site / "bad.csv").write_bytes(published.read_bytes() + b"\n")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with pytest.raises(DataError, match="not the published file"):
            paris.read(f"{address}/bad.csv")
        (nowhere / paris.FILE).unlink()
        assert len(paris.read(f"{address}/good.csv").frame) == 3456
    finally:
        server.shutdown()
    kept = (nowhere / paris.FILE).read_bytes()
    assert hashlib.sha256(kept).hexdigest() == paris.SHA256
    assert len(paris.read("http://127.0.0.1:9/none").frame) == 3456  # from the cache


@pytest.mark.parametrize("settings", [{}, {"days": 30, "regions": 3, "interval": "60min"}])
def test_the_city_as_a_panel_is_the_city_as_a_source(settings: dict[str, int | str]) -> None:
    name = synthetic.named(**settings)
    panel, _ = to_panel(read(name))
    made = synthetic.panel(name)
    pd.testing.assert_frame_equal(made.counts, panel.counts)
    assert replace(made, counts=panel.counts) == panel


def test_a_city_is_named_by_what_differs_from_the_usual_one() -> None:
    assert synthetic.named(days=None) == "synthetic"
    assert synthetic.named(days=28, interval="30min") == "synthetic:days=28,interval=30min"
