"""`veilcast audit`: of recipes and runs, on made-up data, with an exit code that tells."""

import functools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from dp.budget import Budget
from dp.ledger import Ledger
from dp.mechanisms.randomness import Generator
from dp.unit.privacy_unit import PrivacyUnit
from flows.audit import counts as audit_counts
from flows.cli.app import app
from flows.settings import Home

CITY = "synthetic:days=42,persons=300,regions=2,interval=120min"
GRADIENT = f"""
[source]
name = "{CITY}"
max_count = 300
[privacy]
mechanism = "gradient"
unit = "interval-1"
epsilon = 8.0
delta = 1e-5
[model]
hidden = 4
[training]
epochs = 10
batch_size = 64
"""


def veilcast(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(GRADIENT)
    return path


@pytest.fixture(autouse=True)
def _few_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = functools.partial(audit_counts.find_a_person, trials=40)
    monkeypatch.setattr(audit_counts, "find_a_person", quick)


def test_a_private_training_is_audited_in_the_open_and_through_its_losses(
    home: Home, recipe: Path
) -> None:
    result = veilcast("audit", recipe, "--canaries", 400, "--json", "-q")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert not found["refuted"]
    assert (found["unit"], found["delta"]) == ("interval-1", 1e-5)
    assert found["neighbours"] == "change all values of one unit"
    seen = {(one["access"].partition(" (")[0], one["bound"]): one for one in found["measurements"]}
    assert {access for access, _ in seen} == {"gradients", "losses"}
    white = seen["gradients", "one run f-DP (Gaussian)"]
    assert 1.0 < white["epsilon"] <= white["claimed"] <= 8.0
    assert white["canaries"] == 400
    assert Path(found["figure"]).read_bytes().startswith(b"\x89PNG")
    assert not (home.root / "veilcast.db").exists()  # nothing was charged


def test_a_training_without_noise_is_refuted_with_exit_one(
    home: Home, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Generator, "normal", lambda self, like, std: like * 0.0)
    result = veilcast("audit", recipe, "-q")
    assert result.exit_code == 1, result.output
    assert "The claim is refuted" in result.stdout


@pytest.mark.slow
def test_a_run_is_audited_without_its_data(home: Home, tmp_path: Path) -> None:
    times = pd.date_range("2024-01-01", periods=12 * 36, freq="2h", name="time")
    values = np.random.default_rng(1).integers(100, 200, (len(times), 2))
    csv = tmp_path / "counts.csv"
    pd.DataFrame(values, times, ["north", "south"]).to_csv(csv)
    small = ["--model", "ridge", "--set", "windows.lags=3", "-q", "--json"]
    guarantee = ["--unit", "user-day", "--epsilon", 4, "--delta", 1e-6]
    trained = veilcast("train", "--source", csv, *guarantee, *small)
    assert trained.exit_code == 0, trained.output
    csv.unlink()
    result = veilcast("audit", "latest", "--canaries", 100, "--json", "-q")
    assert result.exit_code == 0, result.output
    found, run = json.loads(result.stdout), json.loads(trained.stdout)
    assert found["run_id"] == run["run_id"]
    assert found["epsilon"] == pytest.approx(run["epsilon"], rel=1e-6)
    assert {one["reads"] for one in found["attacks"]} == {
        "the released panel",
        "forecasts of the next day",
    }
    # of 24, those that shared offsets hide least
    assert "16 cells a canary" in found["measurements"][0]["access"]
    assert len(Ledger(home.database_url).entries()) == 1
    assert "100" in veilcast("audit", "latest", "--canaries", 100, "-q").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demo", "--canaries", 3], "--canaries 3"),
        (["demo", "--confidence", 1], "--confidence 1"),
        (["no-such-run"], "veilcast demo"),
        (["../../etc/passwd"], "veilcast demo"),
        (["missing.toml"], "missing.toml"),
    ],
)
def test_what_cannot_be_audited_is_said(home: Home, arguments: list[object], said: str) -> None:
    result = veilcast("audit", *arguments)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_without_a_mechanism_there_is_nothing_to_audit(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "bare.toml"
    path.write_text('[privacy]\nmechanism = "none"\n')
    result = veilcast("audit", path)
    assert result.exit_code == 2
    assert "nothing is claimed" in result.stderr


@pytest.mark.parametrize("unit", [PrivacyUnit.USER, PrivacyUnit.USER_DAY])
def test_a_person_without_noise_is_found_and_with_it_is_not(
    unit: PrivacyUnit, monkeypatch: pytest.MonkeyPatch
) -> None:
    for attack in audit_counts.find_a_person(Budget(1.0, 1e-7), unit):
        assert not attack.refutes
        assert attack.promised == pytest.approx(0.543)
    monkeypatch.setattr("dp.mechanisms.count_noise.discrete_gaussian", lambda counts, *_: counts)
    panel, forecasts = audit_counts.find_a_person(Budget(1.0, 1e-7), unit)
    assert panel.right == panel.trials
    assert panel.refutes
    assert forecasts.refutes  # the forecast of the next day shows the person, too
