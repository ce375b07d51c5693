"""`veilcast budget` and `veilcast statement`, as their users meet them."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from sqlalchemy import text
from typer.testing import CliRunner, Result

from dp.ledger import Ledger
from dp.unit.privacy_unit import PrivacyUnit
from flows.cli.app import app
from flows.settings import Home

SMALL = [
    "--model",
    "gru",
    "--set",
    "training.epochs=1",
    "--set",
    "model.hidden=4",
    "--set",
    "windows.lags=4",
    "--set",
    "windows.seasonal=[]",
    "--unit",
    "user-day",
    "--delta",
    "1e-6",
]


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    times = pd.date_range("2024-01-01", periods=24 * 28, freq="1h", name="time")
    draw = np.random.default_rng(3)
    frame = pd.DataFrame(
        draw.poisson(500, (len(times), 2)), index=times, columns=["north", "south"]
    )
    frame.to_csv(tmp_path / "city.csv")
    return tmp_path / "city.csv"


def veilcast(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def document(*arguments: object) -> dict:
    result = veilcast(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_one_release_under_a_cap_for_one(home: Home, csv: Path) -> None:
    train = ["train", "--source", csv, *SMALL]
    capped = veilcast(
        "budget",
        "cap",
        csv,
        "--unit",
        "user-day",
        "--epsilon",
        1,
        "--delta",
        1e-6,
        "--new",
        "--because",
        "agreed with the data owner",
    )
    assert capped.exit_code == 0, capped.output
    first, again = document(*train), document(*train)
    assert first["ledger_entry"] == again["ledger_entry"]
    third = veilcast(*train, "--set", "privacy.draw=1")
    assert third.exit_code == 3, third.output
    for word in ("requested epsilon 1", "spent 1", "left 0", "short by 0.99", "user-day", "cap 1"):
        assert word in third.stderr
    (account,) = document("budget", "show")["accounts"]
    assert account["epsilon_spent"] == pytest.approx(1, rel=1e-6)
    assert account["epsilon_left"] == pytest.approx(0, abs=1e-3)  # σ has seven digits
    assert "100%" in veilcast("budget", "show").stdout


def test_a_copied_file_has_no_budget_of_its_own(home: Home, csv: Path) -> None:
    document("train", "--source", csv, *SMALL, "--epsilon", 1)
    copy = csv.with_name("copy.csv")
    copy.write_bytes(csv.read_bytes())
    document("budget", "cap", csv, "--unit", "user-day", "--epsilon", 1.1, "--delta", 1e-6)
    refused = veilcast("train", "--source", copy, *SMALL, "--set", "privacy.draw=1")
    assert refused.exit_code == 3
    assert str(csv) in refused.stderr


def test_caps_that_make_no_sense(home: Home, csv: Path) -> None:
    unknown = veilcast("budget", "cap", "city", "--epsilon", 1)
    assert unknown.exit_code == 1
    assert "no account of a data set called 'city'" in unknown.stderr
    for wrong in (
        ["--epsilon", 0],
        ["--epsilon", 1, "--none"],
        [],
        ["--epsilon", 1, "--unit", "dog"],
    ):
        assert veilcast("budget", "cap", "city", "--new", *wrong).exit_code == 2
    document("train", "--source", csv, *SMALL, "--epsilon", 2)
    low = veilcast("budget", "cap", csv, "--unit", "user-day", "--epsilon", 1, "--delta", 1e-6)
    assert low.exit_code == 1
    assert "has spent epsilon 2 at delta 1e-06" in low.stderr
    assert document("budget", "show")["accounts"][0]["cap"] is None
    document("budget", "cap", csv, "--unit", "user-day", "--epsilon", 3, "--delta", 1e-6)
    assert document("budget", "cap", csv, "--unit", "user-day", "--none")["account"]["cap"] is None


def test_history_verify_export(home: Home, csv: Path) -> None:
    assert "No charges" in veilcast("budget", "history").stdout
    assert "Nothing has been charged" in veilcast("budget", "show").stdout
    run = document("train", "--source", csv, *SMALL)
    (entry,) = document("budget", "history", csv)["entries"]
    assert entry["entry"] == run["ledger_entry"]
    assert entry["event"]["mechanism"] == "discrete-gaussian with shared offsets"
    assert entry["recipe"]["privacy"]["unit"] == "user-day"
    assert "released" in veilcast("budget", "history").stdout
    held = document("budget", "verify")
    assert held["holds"]
    assert document("budget", "verify", "--head", held["head"])["holds"]
    assert veilcast("budget", "verify", "--head", "0" * 63 + "1").exit_code == 1
    exported = json.loads(veilcast("budget", "export").stdout)
    assert exported["entries"] == [entry]
    assert exported["verified"]["holds"]
    (deployment,) = yaml.safe_load_all(veilcast("budget", "export", "--format", "registry").stdout)
    inside = deployment["deployment"]
    spent = Ledger(home.database_url).spent(str(csv), PrivacyUnit.USER_DAY, 1e-7)
    assert inside["privacy_loss"]["privacy_parameters"] == {
        "epsilon": pytest.approx(spent),
        "delta": 1e-7,
    }
    assert inside["basic"]["data_product_type"] == "Summary statistics"
    assert veilcast("budget", "export", "--format", "xml").exit_code == 2
    with Ledger(home.database_url).database.writing() as session:
        session.execute(text("UPDATE ledger_log SET body = replace(body, '1e-06', '1e-09')"))
    broken = veilcast("budget", "verify")
    assert broken.exit_code == 1
    assert f"line {entry['entry']}: is not what was written" in broken.stdout


def test_a_statement_reads_well(home: Home, csv: Path) -> None:
    run = document("train", "--source", csv, *SMALL)
    found = document("statement", run["run_id"][:8])
    assert found["attacker"]["right_after_at_most"] < 0.6
    assert {point["delta"] for point in found["curve"]} >= {1e-6, 1e-9}
    at_claimed = next(point for point in found["curve"] if math.isclose(point["delta"], 1e-6))
    assert at_claimed["epsilon"] == pytest.approx(run["epsilon"], rel=1e-6)
    shown = " ".join(veilcast("statement", "latest").stdout.split())
    for words in (
        "Who is protected: the records of one person on one calendar day (00:00 to 24:00",
        "By which clock",
        "at most",
        "What it would take to identify somebody",
        "Technology:",
        "What is not covered",
        "What is shown without noise",
        "What it rests on",
        "nested",
        "extrapolated",
        "Caveats",
        "Made by veilcast",
        f"ledger entry {run['ledger_entry']}",
    ):
        assert words in shown
    tags = MlflowClient(home.tracking_uri).get_run(run["run_id"]).data.tags
    entry = Ledger(home.database_url).entry(run["ledger_entry"])
    assert tags["ledger_hash"] == entry.hash
    assert (tags["unit"], float(tags["epsilon"])) == (entry.unit.value, entry.epsilon)
    document("train", "--source", csv, *SMALL, "--mechanism", "none")
    assert "No privacy guarantee" in veilcast("statement").stdout


def test_a_database_out_of_reach_is_one_clear_line(
    home: Home, csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VEILCAST_DATABASE_URL", "postgresql://me:hidden@127.0.0.1:1/none")
    for command in (["train", "--source", csv, *SMALL], ["budget", "show"]):
        result = veilcast(*command)
        assert result.exit_code == 1, result.output
        assert "Nothing was drawn" in result.stderr
        assert "hidden" not in result.output
        assert "Traceback" not in result.output
