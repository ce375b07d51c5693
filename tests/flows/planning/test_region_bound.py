"""What each number of regions per unit cuts, from public events or under a charge."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data.sources.synthetic import events as made_up
from dp.ledger import Ledger
from flows.cli.app import app
from flows.document import Document
from flows.settings import Home

CITY = "synthetic:days=14,persons=400"
PERIOD = ("--set", "events.start=2024-01-01", "--set", "events.end=2024-01-15")
NAMED = [f"region {number}" for number in range(1, 7)]
REGIONS = ("--set", f"events.regions={json.dumps(NAMED)}")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("events") / "events.parquet"
    made_up(CITY).to_parquet(path)
    return str(path)


def planned(*words: str) -> Document:
    result = CliRunner().invoke(app, ["plan", *words, "--events", "--json"])
    assert result.exit_code == 0, result.output
    plan: Document = json.loads(result.stdout)["plans"][0]
    return plan


def refused(*words: str, code: int = 2) -> str:
    result = CliRunner().invoke(app, ["plan", *words, "--events"])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_public_events_say_what_each_number_of_regions_cuts(home: Home) -> None:
    rows = {row["regions_ever"]: row for row in planned(CITY)["regions"]}
    assert list(rows) == [6, 4, 3, 2, 1]
    assert rows[6]["left_out"] == rows[6]["units_cut"] == 0
    frame = made_up(CITY)
    days = frame.groupby(["person", frame["time"].dt.date])
    assert rows[1]["units_cut"] == pytest.approx((days["place"].nunique() > 1).mean())
    lost = days.size() * (1 - 1 / days["place"].nunique())
    assert rows[1]["left_out"] == pytest.approx(lost.sum() / len(frame))
    (one,) = planned(CITY, "--regions-ever", "2")["regions"]
    assert one == rows[2]
    (weekly,) = planned(CITY, "--regions-ever", "2", "--unit", "user-week")["regions"]
    assert weekly["units_cut"] > one["units_cut"]
    assert Ledger(home.database_url).entries() == ()


def test_private_events_are_not_read_without_a_charge(home: Home, source: str) -> None:
    made_up_city = planned(source, *PERIOD, "--set", 'events.regions=["a","b","c"]')
    assert "a synthetic city, not these events" in made_up_city["seen_from"]
    assert [row["regions_ever"] for row in made_up_city["regions"]] == [3, 2, 1]
    assert planned(str(Path(source).parent / "none.parquet"))["regions"]  # was not opened
    assert Ledger(home.database_url).entries() == ()


def test_regions_are_paid_for_where_they_are_asked_for(home: Home, source: str) -> None:
    words = (source, *PERIOD, *REGIONS, "--charge", "4")
    assert planned(*words)["regions"] is None
    plan = planned(*words, "--regions-ever", "1")
    first, both = Ledger(home.database_url).entries()
    assert both.epsilon <= 4
    assert (first.event["regions"], both.event["regions"]) == (2, 4)
    assert both.event["sigma"] == pytest.approx(first.event["sigma"] * 2**0.5, rel=0.01)
    (row,), (true,) = plan["regions"], planned(CITY, "--regions-ever", "1")["regions"]
    assert row["left_out"] is None
    assert row["units_cut"] == pytest.approx(true["units_cut"], abs=0.1)
    assert len(plan["rows"]) == len(planned(CITY)["rows"])
    shown = CliRunner().invoke(app, ["plan", *words, "--regions-ever", "1", "--events"]).output
    assert "–" in shown


def test_regions_that_do_not_fit_charge_nothing(home: Home, source: str) -> None:
    words = (source, *PERIOD, "--charge", "4")
    assert "at most 6 regions" in refused(*words, *REGIONS, "--regions-ever", "7")
    said = refused(*words, "--regions-ever", "2", code=1)
    assert "regions of the panel are not declared" in said
    assert "at most 6 regions" in refused(CITY, "--regions-ever", "7")
    said = refused(CITY, "--regions-ever", "1", "--regions-per-interval", "2")
    assert "regions_ever=1 to be at least 2" in said
    assert Ledger(home.database_url).entries() == ()


def test_counts_take_it_as_a_declaration(home: Home) -> None:
    words = ["plan", "synthetic:days=28", "--unit", "user", "--epsilon", "1", "--json"]
    result = CliRunner().invoke(app, [*words, "--regions-ever", "3"])
    assert json.loads(result.stdout)["regions_ever"] == 3
    result = CliRunner().invoke(app, [*words, "--regions-ever", "7"])
    assert result.exit_code == 2
    assert "at most 6 regions" in result.output
