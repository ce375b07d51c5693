"""From raw events to a forecast: the bound in the statement is the one that was enforced."""

import datetime
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine
from typer.testing import CliRunner

from data.bound import Bound, enforceable
from data.sources.synthetic import events as made_up
from dp.budget import Budget
from dp.ledger import Ledger
from dp.mechanisms.count_noise import calibrate
from dp.unit.contribution import ContributionBound, derive_bound
from dp.unit.period import Period
from dp.unit.privacy_unit import MONDAY, PrivacyUnit
from flows.cli.app import app
from flows.errors import UsageError
from flows.pipeline import read
from flows.pipeline.privatise import enforced, privatise
from flows.planning.contribution_bound import plan_events
from flows.recipe.recipe import from_dict
from flows.settings import Home

SEEN = "synthetic:days=28,persons=400"
REGIONS = [f"region {number}" for number in range(1, 7)]
PERIOD = {"start": "2024-01-01", "end": "2024-01-29"}
EVENTS = (
    "--events",
    "--unit",
    "user-day",
    "--set",
    "events.start=2024-01-01",
    "--set",
    "events.end=2024-01-29",
    "--set",
    f"events.regions={json.dumps(REGIONS)}",
)
FAST = ["--model", "ridge", "--set", "windows.validation=0d", "--set", "windows.lags=4"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("events") / "events.parquet"
    made_up(SEEN).to_parquet(path)
    return str(path)


def command(*words: str, code: int = 0) -> dict:
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if code == 0 else {"error": result.stderr}


def test_train_goes_from_raw_events_to_a_forecast(home: Home, source: str) -> None:
    document = command(
        "train",
        "--source",
        source,
        *EVENTS,
        "--epsilon",
        "1",
        "--set",
        "privacy.intervals_per_unit=9",
        "--set",
        "privacy.suppress_below=3",
        *FAST,
    )
    assert document["sensitivity"] == 3.0
    said = document["statement"]
    assert said["sensitivity"] == 3.0
    assert said["bound"][0].startswith("K = 9 of 48 intervals of a unit: enforced when counting")
    assert all("enforced when counting" in line for line in said["bound"])
    assert any("was enforced when the events were counted" in line for line in said["assumptions"])
    assert not any("declared" in line for line in [*said["bound"], *said["assumptions"]])
    entry = Ledger(home.database_url).entry(document["ledger_entry"])
    assert (entry.event["intervals"], entry.event["regions"], entry.event["weight"]) == (9, 1, 1)
    assert isinstance(entry.unit, PrivacyUnit)
    noise = calibrate(Budget(1.0, 1e-7), enforced(Bound("user-day", 9, 1, 1, 48), entry.unit)[0])
    assert document["sigma"] == noise.sigma
    again = command("forecast", "latest")
    assert len(again["forecast"][0]) == 6


@pytest.mark.slow
def test_postgresql_gives_the_same_panel_and_so_the_same_release(
    home: Home, source: str, postgres: str
) -> None:
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE raw")
    engine = create_engine(f"{postgres}/raw".replace("postgresql:", "postgresql+psycopg:"))
    pd.read_parquet(source).to_sql("events", engine, index=False)
    engine.dispose()
    words = (*EVENTS, "--set", "privacy.intervals_per_unit=9", *FAST)
    one = command("train", "--source", source, *words)
    other = command("train", "--source", f"{postgres}/raw#events", *words)
    assert other["source"].endswith("/raw#events")
    assert "veilcast@" not in other["source"]
    assert other["ledger_entry"] == one["ledger_entry"]  # the same counts, to the last person
    assert other["rmse"] == one["rmse"]
    assert len(Ledger(home.database_url).entries()) == 1


def test_raw_values_of_events_stay_out_of_all_outputs(home: Home, source: str) -> None:
    """Identifiers in letters, which no float holds by chance."""
    frame = pd.read_parquet(source)
    frame["person"] = "traveller-" + frame["person"].astype(str)
    path = Path(source).parent / "named.parquet"
    frame.to_parquet(path)
    command("train", "--source", str(path), *EVENTS, *FAST)
    for file in home.root.rglob("*"):
        if file.is_file():
            assert b"traveller-" not in file.read_bytes(), file


def test_gradient_counts_under_the_same_bound(home: Home, source: str) -> None:
    recipe = from_dict(
        {
            "source": {"name": source, "events": True},
            "events": {**PERIOD, "regions": REGIONS},
            "privacy": {"mechanism": "gradient", "unit": "user-day", "intervals_per_unit": 5},
            "windows": {"around": 0, "seasons": 0, "seasonal": []},
        }
    )
    table = read.read(recipe)
    assert table.bound == Bound("user-day", 5, 1, 1, 48)
    everything = from_dict(
        {**recipe.to_dict(), "privacy": {"mechanism": "gradient", "unit": "interval-1"}}
    )
    table = read.read(everything)
    assert table.bound is None
    total = made_up(SEEN).drop_duplicates(["person", "time"])
    assert table.frame.iloc[:, 1:].sum(axis=None) == len(total)


@given(
    unit=st.sampled_from(["user", "user-week", "user-day", "user-interval"]),
    days=st.integers(1, 40),
    minutes=st.sampled_from([15, 30, 60, 360]),
    regions=st.integers(2, 9),
    most=st.none() | st.integers(1, 60),
    places=st.none() | st.integers(1, 9),
    weight=st.integers(1, 5),
)
def test_the_noise_takes_the_enforced_numbers(
    unit: str,
    days: int,
    minutes: int,
    regions: int,
    most: int | None,
    places: int | None,
    weight: int,
) -> None:
    interval, periods = pd.Timedelta(minutes=minutes).to_pytimedelta(), days * 24 * 60 // minutes
    bound = enforceable(
        unit,
        periods=periods,
        interval=interval,
        regions=regions,
        intervals_per_unit=most,
        regions_per_interval=places,
        weight=weight,
    )
    taken, reasons = enforced(bound, PrivacyUnit(unit))
    assert taken.sensitivity == bound.sensitivity
    assert (taken.intervals, taken.regions, taken.weight) == (
        bound.intervals,
        bound.regions,
        bound.weight,
    )
    assert len(reasons) == 3
    declared, _ = derive_bound(
        PrivacyUnit(unit),
        observed=periods,
        interval=interval,
        regions=regions,
        regions_per_interval=bound.regions,
        intervals_per_unit=most,
        weight=weight,
        start=MONDAY,
    )
    assert declared == taken  # what would be derived had it been declared


@given(st.integers(-(10**6), 10**6), st.sampled_from(["user-day", "user-week"]))
def test_units_are_those_of_the_ledger(halves: int, unit: str) -> None:
    """The day or week that an interval is cut in is the one that it is charged to."""
    start = pd.Timestamp("2000-01-01") + pd.Timedelta(minutes=30 * halves)
    length, origin = Bound(unit, 1, 1, 1, 1).span or (1, 0)
    half_hour = pd.Timedelta("30min").to_pytimedelta()
    period = Period(start.to_pydatetime(), start.to_pydatetime() + half_hour, half_hour)
    first = (start.value // 10**9 - origin) // length * length + origin
    assert period.unit_range(PrivacyUnit(unit)) == (first, first + length)


def test_another_unit_than_counted_for_is_refused() -> None:
    with pytest.raises(UsageError, match="counted for unit user-day"):
        enforced(Bound("user-day", 1, 1, 1, 48), PrivacyUnit.USER)


def test_small_cells_are_suppressed_after_the_noise(home: Home, source: str) -> None:
    values: dict[str, dict[str, Any]] = {
        "source": {"name": source, "events": True},
        "privacy": {"unit": "user-day"},
        "events": {**PERIOD, "regions": REGIONS},
    }
    from data import validate

    recipe = from_dict(values)
    panel, _ = validate.to_panel(read.read(recipe))
    plain = privatise(panel, recipe, home).inputs.values
    values["privacy"]["suppress_below"] = 20
    kept = privatise(panel, from_dict(values), home).inputs.values
    np.testing.assert_array_equal(kept, np.where(plain < 20, 0.0, plain))
    assert (plain < 20).any()
    assert (
        len(Ledger(home.database_url).entries()) == 1
    )  # the same release: nothing more is charged


def test_events_are_described_only_where_they_are() -> None:
    with pytest.raises(UsageError, match="--events"):
        from_dict({"events": {"person": "id"}})
    with pytest.raises(UsageError, match="interval='7min'"):
        from_dict({"source": {"events": True}, "events": {"interval": "7min"}})
    with pytest.raises(UsageError, match=r"did you mean events\.person"):
        from_dict({"source": {"events": True}, "events": {"persn": "id"}})
    recipe = from_dict({"source": {"events": True}, "events": {"person": "id", "h3": None}})
    assert from_dict(recipe.to_dict()) == recipe
    assert "events" not in from_dict({}).to_dict()


def test_plan_says_what_each_bound_cuts(home: Home) -> None:
    (plan,) = command("plan", SEEN, "--events")["plans"]
    rows = {row["intervals_per_unit"]: row for row in plan["rows"]}
    assert rows[48]["left_out"] == 0
    assert rows[16]["sigma_ratio"] == pytest.approx(1 / math.sqrt(3), rel=1e-3)
    frame = made_up(SEEN)
    often = frame.groupby(["person", frame["time"].dt.date])["time"].nunique()
    assert rows[16]["left_out"] == pytest.approx((often - 16).clip(lower=0).sum() / often.sum())
    assert rows[16]["units_cut"] == pytest.approx((often > 16).mean())
    assert Ledger(home.database_url).entries() == ()


def test_looking_at_private_events_is_charged(home: Home, source: str) -> None:
    (free,) = command("plan", source, "--events")["plans"]
    assert "a synthetic city, not these events" in free["seen_from"]
    assert Ledger(home.database_url).entries() == ()
    undeclared = command("plan", source, "--events", "--charge", "2", code=1)["error"]
    assert "start and end of the panel are not declared" in undeclared
    assert Ledger(home.database_url).entries() == ()
    period = ("--set", "events.start=2024-01-01", "--set", "events.end=2024-01-29")
    (paid,) = command("plan", source, "--events", "--charge", "2", *period)["plans"]
    (entry,) = Ledger(home.database_url).entries()
    assert entry.purpose == "statistic"
    assert entry.epsilon <= 2
    (public,) = command("plan", SEEN, "--events")["plans"]
    for one, other in zip(paid["rows"], public["rows"], strict=True):
        assert abs(one["left_out"] - other["left_out"]) < 0.05
    command("budget", "cap", source, "--epsilon", "2.1", "--unit", "user-day")
    assert (
        "refused" in command("plan", source, "--events", "--charge", "1", *period, code=3)["error"]
    )
    recipe = from_dict({"source": {"name": source, "events": True}, "privacy": {"unit": "user"}})
    with pytest.raises(UsageError, match="too thin"):
        plan_events(recipe, home, charge=1.0)


def test_check_looks_at_events(home: Home, source: str) -> None:
    found = command("check", source, "--events", "--set", "events.interval=1h")
    assert found["usable"]
    assert found["interval"] == "60 minutes"
    assert len(found["regions"]) == 6
    assert found["regions_per_interval"] == 1
    assert found["undeclared"] == ["regions", "start", "end"]
    assert Ledger(home.database_url).entries() == ()
    declared = command("check", source, *EVENTS[:1], *EVENTS[3:])
    assert declared["undeclared"] == []
    assert command("check", SEEN, "--events")["undeclared"] == []
    said = CliRunner().invoke(app, ["check", source, "--events"]).output
    assert "read off raw events, not a private release: regions, start, end" in said


@pytest.mark.parametrize("mechanism", ["input", "gradient"])
def test_regions_and_period_are_declared_under_a_mechanism(
    home: Home, source: str, mechanism: str
) -> None:
    words = ("train", "--source", source, "--mechanism", mechanism, "--unit", "user-day")
    said = command(*words, *EVENTS[:1], *FAST[2:], code=1)["error"]
    assert "regions, start and end of the panel are not declared" in said
    assert "events.h3 with events.box" in said
    assert Ledger(home.database_url).entries() == ()


def test_without_a_mechanism_they_are_read_off_the_events(source: str) -> None:
    values = {"source": {"name": source, "events": True}, "privacy": {"mechanism": "none"}}
    frame = read.read(from_dict(values)).frame
    assert list(frame.columns[1:]) == REGIONS
    assert str(frame["time"].iloc[0]) == "2024-01-01 00:00:00"


def test_dates_of_toml_are_dates() -> None:
    date = datetime.date(2024, 1, 1)
    recipe = from_dict({"source": {"events": True}, "events": {"start": date}})
    assert recipe.events.start == "2024-01-01"


def test_a_bad_source_is_one_line(home: Home, tmp_path: Path) -> None:
    made_up("synthetic:days=2,persons=20").drop(columns="person").to_parquet(tmp_path / "e.parquet")
    said = command("train", "--source", str(tmp_path / "e.parquet"), *EVENTS, *FAST, code=1)
    assert "no column 'person'" in said["error"]
    assert Ledger(home.database_url).entries() == ()


def test_regions_of_a_day_are_enforced_and_carried(source: str) -> None:
    values: dict[str, dict[str, Any]] = {
        "source": {"name": source, "events": True},
        "events": {**PERIOD, "regions": REGIONS},
        "privacy": {"unit": "user-day"},
    }
    whole = read.read(from_dict(values))
    values["source"]["regions_ever"] = 1
    table = read.read(from_dict(values))
    assert table.bound == Bound("user-day", 48, 1, 1, 48, 1)
    assert table.regions_ever == 1
    moved = whole.frame.iloc[:, 1:].to_numpy() - table.frame.iloc[:, 1:].to_numpy()
    assert moved.min() >= 0  # M is 1, and nobody is in two places at once
    frame = made_up(SEEN)
    days = frame.groupby(["person", frame["time"].dt.date])
    kept = days["place"].value_counts().groupby(level=[0, 1])
    counted = table.frame.iloc[:, 1:].sum(axis=None)
    assert kept.min().sum() <= counted <= kept.max().sum()
    assert counted < len(frame)


@pytest.mark.parametrize("events", [True, False])
def test_more_regions_than_there_are_charge_nothing(home: Home, source: str, events: bool) -> None:
    """Exit 2, of events and of counts, and before the ledger is asked."""
    seven = ("--set", "source.regions_ever=7", *FAST)
    words = ("--source", source, *EVENTS) if events else ("--source", "synthetic:days=28")
    said = command("train", *words, *seven, code=2)["error"]
    assert "expected regions_ever=7 to be at most 6 regions" in said
    assert Ledger(home.database_url).entries() == ()
    said = command("train", *words, "--set", "source.regions_ever=0", code=2)["error"]
    assert "regions_ever=0 to be a whole number" in said


def test_few_runs_a_day_are_enforced_carried_and_less_noise(home: Home, source: str) -> None:
    words = ("--source", source, *EVENTS, *FAST)
    runs = ("--set", "source.runs_per_day=2")
    document = command("train", *words, *runs)
    said = document["statement"]
    assert any(line.startswith("r = 2 runs of consecutive intervals") for line in said["bound"])
    assert all("enforced when counting" in line for line in said["bound"])
    assert any(
        "neighbouring counts of a region is correlated" in line for line in said["correlation"]
    )
    entry = Ledger(home.database_url).entry(document["ledger_entry"])
    assert entry.event["panel"]["runs_per_day"] == entry.event["runs"] == 2
    before = calibrate(Budget(1.0, 1e-7), ContributionBound(48, 1)).sigma
    assert document["sigma"] < 0.52 * before
    # the same request is the same release, and with independent noise it is another
    assert command("train", *words, *runs)["ledger_entry"] == document["ledger_entry"]
    independent = command("train", *words, *runs, "--set", "privacy.noise=independent")
    assert independent["sigma"] == before
    assert independent["ledger_entry"] != document["ledger_entry"]
    assert len(command("forecast", "latest")["forecast"][0]) == 6


def test_runs_that_cannot_be_enforced_charge_nothing(home: Home, source: str) -> None:
    words = ("--source", source, *EVENTS, *FAST, "--set", "source.runs_per_day=2")
    for more, message in (
        (("--set", "source.regions_per_interval=2"), "one region at a time and count once"),
        (("--set", "privacy.weight=2"), "one region at a time and count once"),
        (("--set", "events.weight=n"), "leave out runs_per_day, or events.weight='n'"),
    ):
        assert message in command("train", *words, *more, code=2)["error"]
    counts = ("--source", "synthetic:days=28", *FAST, "--set", "source.runs_per_day=2")
    assert "means nothing for counts" in command("train", *counts, code=2)["error"]
    assert Ledger(home.database_url).entries() == ()
