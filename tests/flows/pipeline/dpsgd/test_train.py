"""Gradient perturbation through the command line: account, charge, proof, record."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner, Result

from dp.ledger import Ledger
from dp.mechanisms.randomness import Generator
from dp.mechanisms.window_sampling import sampling_of
from dp.private.training import PrivateTraining
from dp.unit.privacy_unit import IntervalUnit, PrivacyUnit
from flows.cli.app import app
from flows.settings import Home
from flows.tracking import Tracker
from models import checkpoint

UNIT = IntervalUnit(1)
SMALL = [
    "--mechanism",
    "gradient",
    "--set",
    "model.hidden=4",
    "--set",
    "training.epochs=4",
    "--set",
    "training.batch_size=64",
    "--quiet",
]


def counts() -> pd.DataFrame:
    """Twelve weeks of two-hour counts with a daily rhythm; seven digits, to be found again."""
    times = pd.date_range("2024-01-01", periods=12 * 84, freq="2h", name="time")
    rng = np.random.default_rng(5)
    wave = 40_000 * np.sin(np.arange(len(times)) / 12 * 2 * np.pi)[:, None]
    values = 7_000_000 + wave + rng.integers(0, 9_999, (len(times), 2))
    return pd.DataFrame(values.astype(int), times, ["north", "south"])


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "counts.csv"
    counts().to_csv(path)
    return path


def veilcast(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def trained(*arguments: object, unit: str = "interval-1", epsilon: float = 8.0) -> dict:
    guarantee = ["--unit", unit, "--epsilon", epsilon, "--delta", 1e-6]
    result = veilcast("train", *guarantee, *SMALL, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_private_training_from_file_to_record(home: Home, csv: Path) -> None:
    first = trained("--source", csv)
    assert (first["mechanism"], first["unit"], first["delta"]) == ("gradient", "interval-1", 1e-6)
    assert first["neighbours"] == "change all values of one unit"
    assert 7.9 < first["epsilon"] <= 8.0
    assert first["epsilon_naive"] < first["epsilon"] / 4
    assert first["sensitivity"] is None
    assert first["proof"]["holds"]
    assert first["baselines"]["ridge"] is None  # nothing is fitted to raw counts for free
    statement = first["statement"]
    assert statement["sampling"]["windows_changed_by_one_unit"] == 5
    assert "not a guarantee" in statement["naive_is"]
    assert any("forecasts" in gap for gap in statement["not_covered"])
    assert "histograms" in statement["scaler"]

    (entry,) = Ledger(home.database_url).entries(str(csv), UNIT)
    assert (entry.purpose, entry.state) == ("training", "released")
    assert sampling_of(entry.event).epsilon(1e-6) == pytest.approx(first["epsilon"], rel=1e-12)
    assert sampling_of(entry.event).noise_multiplier == first["sigma"]

    # The budget spent is logged after every epoch, and no loss is.
    client = MlflowClient(home.tracking_uri)
    spent = client.get_metric_history(first["run_id"], "epsilon interval-1 delta 1e-06")
    naive = client.get_metric_history(first["run_id"], "epsilon naive one window delta 1e-06")
    assert client.get_metric_history(first["run_id"], "loss") == []
    assert [point.step for point in spent] == [1, 2, 3, 4]
    values = [point.value for point in spent]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(first["epsilon"], rel=1e-9)
    assert naive[-1].value == pytest.approx(first["epsilon_naive"], rel=1e-9)
    tags = client.get_run(first["run_id"]).data.tags
    assert tags["private"] == "True"
    assert re.fullmatch(r"bigru gradient interval-1 \((8|7\.99\d), 1e-06\)", tags["mlflow.runName"])

    raw = {str(value).encode() for value in counts().to_numpy().ravel()}
    for path in home.root.rglob("*"):
        if path.is_file():
            # whole numbers alone: seven of the digits of a float are a count by chance
            whole = set(re.findall(rb"(?<![\d.])\d{7}(?!\d)", path.read_bytes()))
            assert not whole & raw, path
    ahead = json.loads(veilcast("forecast", first["run_id"][:8], "--json").stdout)
    assert "the latest counts show in the forecast" in ahead["privacy"]
    assert abs(ahead["forecast"][0][0] - 7_000_000) < 200_000


@pytest.mark.slow
def test_the_same_request_is_drawn_and_charged_once(home: Home, csv: Path) -> None:
    first, again = trained("--source", csv), trained("--source", csv)
    assert again["rmse"] == first["rmse"]
    assert again["ledger_entry"] == first["ledger_entry"]
    ledger = Ledger(home.database_url)
    assert len(ledger.entries(str(csv), UNIT)) == 1
    other = trained("--source", csv, "--seed", 1)
    assert len(ledger.entries(str(csv), UNIT)) == 2
    assert other["statement"]["epsilon_spent_on_data_set"] > first["epsilon"] * 1.2


def test_a_crash_keeps_the_charge(home: Home, csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        (entry,) = Ledger(home.database_url).entries(str(csv), UNIT)  # charged before any noise
        assert entry.state == "committed"
        raise OSError("pulled the plug")

    with monkeypatch.context() as patch:
        patch.setattr(PrivateTraining, "step", crash)
        result = veilcast("train", "--source", csv, "--unit", "interval-1", "--epsilon", 8, *SMALL)
    assert result.exit_code == 1
    assert "pulled the plug" in result.stderr
    assert Tracker(home).runs() == []
    trained("--source", csv)
    entries = Ledger(home.database_url).entries(str(csv), UNIT)
    assert [entry.state for entry in entries] == ["committed", "released"]


@pytest.mark.slow
def test_past_the_cap_nothing_is_drawn(
    home: Home, csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained("--source", csv, epsilon=4)
    for name in ("step", "batches"):
        monkeypatch.setattr(PrivateTraining, name, lambda *_: pytest.fail("something was drawn"))
    monkeypatch.setattr(
        "dp.mechanisms.scale.estimate", lambda *_, **__: pytest.fail("a histogram was drawn")
    )
    result = veilcast(
        "train",
        "--source",
        csv,
        "--unit",
        "interval-1",
        "--epsilon",
        4,
        "--delta",
        1e-6,
        *SMALL,
        "--seed",
        1,
        "--set",
        "privacy.cap_epsilon=5",
    )
    assert result.exit_code == 3, result.output
    for word in (
        "requested epsilon 4",
        "spent 4",
        "short by",
        "interval-1",
        "1e-06",
        "change all values",
    ):
        assert word in result.stderr
    assert len(Ledger(home.database_url).entries(str(csv), UNIT)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_run_without_proof_of_noise_is_not_private(
    home: Home, csv: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    honest = Generator.normal
    monkeypatch.setattr(
        Generator, "normal", lambda self, like, std: share * honest(self, like, std)
    )
    document = trained("--source", csv)
    assert not document["proof"]["holds"]
    for key in ("unit", "epsilon", "delta", "sigma", "neighbours"):
        assert document[key] is None
    assert document["ledger_entry"] is not None  # whatever was drawn was drawn
    assert "proof of its noise failed" in document["statement"]["text"]
    run = MlflowClient(home.tracking_uri).get_run(document["run_id"])
    assert run.data.tags["private"] == "False"
    assert "epsilon" not in run.data.params


@pytest.mark.slow
def test_protected_inputs_are_noised_and_charged(home: Home, csv: Path) -> None:
    document = trained("--source", csv, "--protect-inputs", unit="user-interval")
    assert document["epsilon"] <= 8.0
    assert document["statement"]["inputs"]["mechanism"] == "input"
    assert not any("forecasts" in gap for gap in document["statement"]["not_covered"])
    assert "counts it forecasts from" in document["statement"]["text"]
    entries = Ledger(home.database_url).entries(str(csv), PrivacyUnit.USER_INTERVAL)
    assert [entry.purpose for entry in entries] == ["forecast inputs", "training"]
    assert sum(entry.epsilon for entry in entries) == pytest.approx(document["epsilon"])
    assert sum(entry.delta for entry in entries) == pytest.approx(1e-6)
    # composed, which is less than added up
    assert (
        0 < document["statement"]["epsilon_spent_on_data_set"] <= document["epsilon"] * (1 + 1e-9)
    )
    ahead = json.loads(veilcast("forecast", "latest", "--json").stdout)
    assert "nothing more is spent" in ahead["privacy"]


def test_a_declared_largest_count_spends_nothing_on_the_scale(
    home: Home, csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "dp.mechanisms.scale.estimate", lambda *_, **__: pytest.fail("counts were looked at")
    )
    document = trained(
        "--source", csv, "--set", "source.max_count=8000000", unit="user-day", epsilon=20
    )
    assert "declared" in document["statement"]["scaler"]
    (entry,) = Ledger(home.database_url).entries(str(csv), PrivacyUnit.USER_DAY)
    assert entry.purpose == "training"
    model = checkpoint.load(Tracker(home).files(document["run_id"]) / "model")
    assert model.mean.tolist() == [4_000_000.0] * 2


def test_secure_noise_and_a_given_noise_multiplier(home: Home, csv: Path) -> None:
    document = trained(
        "--source",
        csv,
        "--set",
        "privacy.secure_noise=true",
        "--set",
        "privacy.noise_multiplier=60",
        epsilon=50,
    )
    assert document["sigma"] == 60.0
    assert document["epsilon"] < 50
    assert document["proof"]["holds"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "training.batch_size=5000"], ("batch_size=5000", "training windows", "at most")),
        (["--set", "training.grad_norm=0"], ("grad_norm=0",)),
        (["--set", "training.grad_norm=inf"], ("grad_norm=inf", "clips nothing")),
        (["--set", "privacy.noise_multiplier=0"], ("noise_multiplier=0", "8 was asked for")),
        (["--set", "privacy.noise_multiplier=0.5"], ("costs epsilon", "8 was asked for")),
        (["--set", "training.patience=3"], ("training.patience=3", "not charged")),
        (["--delta", "1e-30"], ("cannot be reached at delta=1e-30", "smallest")),
        (["--unit", "user"], ("source.max_count",)),
        (["--protect-inputs"], ("interval-1", "user-interval")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_requests_are_explained_and_cost_nothing(
    home: Home, csv: Path, arguments: list[str], words: tuple[str, ...]
) -> None:
    guarantee = ["--unit", "interval-1", "--epsilon", 8, "--delta", 1e-6]
    result = veilcast("train", "--source", csv, *guarantee, *SMALL, *arguments)
    assert result.exit_code in (1, 2), result.output
    assert result.stdout == ""
    for word in words:
        assert word in result.stderr
    assert "Traceback" not in result.stderr
    assert Ledger(home.database_url).entries(str(csv), UNIT) == ()
    assert Tracker(home).runs() == []


@pytest.mark.slow
def test_windows_that_read_a_gap_are_not_trained_on(home: Home, csv: Path) -> None:
    whole = trained("--source", csv)
    broken = csv.with_name("gap.csv")
    counts().drop(counts().index[400:404]).to_csv(broken)
    with_gap = trained("--source", broken)
    sampling = [one["statement"]["sampling"]["windows"] for one in (whole, with_gap)]
    assert sampling[0] - sampling[1] == 4 + 2 + 2 * 4  # targets, lags, a day and a week later
    assert math.isfinite(with_gap["rmse"]["mean"])
