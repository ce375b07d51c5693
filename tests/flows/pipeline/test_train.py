"""The whole spine through the command line, with a real Prefect server and a real MLflow store."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from dp.ledger import Ledger
from dp.unit.privacy_unit import PrivacyUnit
from flows.cli.app import app
from flows.settings import Home
from flows.tracking import Tracker

ROOT = Path(__file__).resolve().parents[3]
SMALL = [
    "--set",
    "model.hidden=4",
    "--set",
    "training.epochs=2",
    "--set",
    "windows.lags=6",
    "--quiet",
]


def counts() -> pd.DataFrame:
    """Five weeks of two-hour counts with a daily rhythm; seven digits, to be found again."""
    times = pd.date_range("2024-01-01", periods=12 * 36, freq="2h", name="time")
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


def trained(*arguments: object) -> dict:
    result = veilcast("train", *arguments, *SMALL, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def charges(home: Home, account: str) -> int:
    return len(Ledger(home.database_url).entries(account, PrivacyUnit.USER_DAY))


@pytest.mark.slow
def test_a_private_run_from_file_to_forecast(home: Home, csv: Path) -> None:
    arguments = ["--source", csv, "--unit", "user-day", "--epsilon", 2, "--delta", 1e-6]
    first = trained(*arguments)
    for key in (
        "run_id",
        "source",
        "model",
        "optimizer",
        "mechanism",
        "unit",
        "epsilon",
        "delta",
        "sensitivity",
        "sigma",
        "seed",
        "rmse",
        "mae",
        "baselines",
        "seconds",
        "statement",
        "ledger_entry",
    ):
        assert key in first
    assert first["sensitivity"] == pytest.approx(math.sqrt(2 * 12))  # M undeclared: both regions
    assert first["epsilon"] <= 2
    assert "nobody declared" in " ".join(first["statement"]["bound"])
    assert first["rmse"]["mean"] == pytest.approx(np.mean(list(first["rmse"]["regions"].values())))
    assert set(first["baselines"]) == {"persistence", "seasonal", "seasonal_day", "ridge"}
    assert first["evaluation"] == "evaluated on raw data, not a private release"

    again = trained(*arguments)  # same seed, same release: the same figures, and nothing charged
    for key in ("rmse", "mae", "baselines", "sigma", "ledger_entry"):
        assert again[key] == first[key]
    assert charges(home, str(csv)) == 1
    other = trained(*arguments, "--seed", 7)
    assert other["rmse"] != first["rmse"]
    assert other["baselines"] == first["baselines"]

    ahead = veilcast("forecast", first["run_id"][:8], "--json")
    assert ahead.exit_code == 0, ahead.output
    document = json.loads(ahead.stdout)
    assert document["times"] == ["2024-02-06 00:00:00"]
    assert document["regions"] == ["north", "south"]
    assert abs(document["forecast"][0][0] - 7_000_000) < 200_000
    assert charges(home, str(csv)) == 1

    listed = json.loads(veilcast("runs", "--json").stdout)["runs"]
    assert len(listed) == 3
    mine = next(run for run in listed if run["run_id"] == first["run_id"])
    assert (mine["unit"], mine["epsilon"], mine["delta"]) == (
        "user-day",
        pytest.approx(2.0, rel=1e-5),
        1e-6,
    )
    assert mine["rmse"] == pytest.approx(first["rmse"]["mean"])
    table = veilcast("runs").stdout
    assert "user-day" in table
    assert first["run_id"][:8] in table

    files = Tracker(home).files(first["run_id"])
    kept = {path.name for path in files.rglob("*") if path.is_file()}
    assert {
        "recipe.toml",
        "statement.json",
        "result.json",
        "forecast.png",
        "report.html",
        "weights.safetensors",
        "config.json",
    } <= kept
    _no_raw_count_in(home)
    # ... and no figure either: what is drawn of a private source is the release
    page = Path(first["report"]).read_text()
    assert "one person on one calendar day" in page
    assert page.count("<td") > 10


def _no_raw_count_in(home: Home) -> None:
    """Every seven-digit raw count, as text and as JSON, in every file under the home folder."""
    raw = {str(value).encode() for value in counts().to_numpy().ravel()}
    for path in home.root.rglob("*"):
        if path.is_file():
            # whole numbers: digits within a fraction are any digits
            found = set(re.findall(rb"(?<![\d.])\d{7}(?!\d)", path.read_bytes()))
            assert not found & raw, path


def test_without_privacy_nothing_is_promised(home: Home, csv: Path) -> None:
    document = trained("--source", csv, "--mechanism", "none")
    for key in ("unit", "epsilon", "delta", "sensitivity", "sigma", "ledger_entry"):
        assert document[key] is None
    assert "No privacy guarantee" in document["statement"]["text"]
    last, raw = counts().iloc[-85:-1].to_numpy(), counts().iloc[-84:].to_numpy()
    expected = np.sqrt(np.mean((raw - last) ** 2, axis=0)).mean()
    assert document["baselines"]["persistence"]["rmse"]["mean"] == pytest.approx(expected)
    ahead = json.loads(veilcast("forecast", "latest", "--json").stdout)
    assert "no guarantee" in ahead["privacy"]


def test_past_the_cap_exit_three(home: Home, csv: Path) -> None:
    arguments = ["train", "--source", csv, "--unit", "user-day", *SMALL]
    result = veilcast(*arguments, "--epsilon", 1, "--set", "privacy.cap_epsilon=0.5")
    assert result.exit_code == 3, result.output
    assert result.stdout == ""
    for word in ("requested epsilon 1", "spent 0", "left 0.5", "short by 0.5", "user-day", "1e-07"):
        assert word in result.stderr
    assert charges(home, str(csv)) == 0


def _replace(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


def _line(number: int, change: Callable[[str], str]) -> Callable[[str], str]:
    def changed(text: str) -> str:
        lines = text.splitlines()
        lines[number] = change(lines[number])
        return "\n".join(lines)

    return changed


def _count(value: str) -> Callable[[str], str]:
    return lambda line: ",".join([*line.split(",")[:2], value])


BAD_FILES: dict[str, tuple[Callable[[str], str], str]] = {
    "wrong delimiter": (lambda text: text.replace(",", " "), "no separator"),
    "no time column": (_replace("time", "when"), "no time column"),
    "text in a count": (_line(9, _count("many")), "text-in-count: column 'south'"),
    "nan": (_line(9, _count("NaN")), "nan-count: column 'south'"),
    "negative": (_line(9, _count("-7123456")), "negative-count: column 'south'"),
    "gap": (
        lambda text: "\n".join(line for i, line in enumerate(text.split("\n")) if not 90 < i < 150),
        "missing-intervals: column 'time'",
    ),
    "duplicate time": (_line(9, lambda line: line.replace("16:00", "14:00")), "duplicate-time"),
    "mixed intervals": (
        lambda text: "\n".join(line for i, line in enumerate(text.split("\n")) if i < 250 or i % 2),
        "mixed-intervals: column 'time'",
    ),
    "empty": (lambda _: "", "is empty"),
    "one region": (
        lambda text: "\n".join(line.rpartition(",")[0] for line in text.strip().splitlines()),
        "one-region",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", BAD_FILES)
def test_bad_files_are_one_clear_message(home: Home, csv: Path, fault: str) -> None:
    spoil, said = BAD_FILES[fault]
    csv.write_text(spoil(csv.read_text()))
    result = veilcast("train", "--source", csv, "--unit", "user-day", *SMALL)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    for word in (said, str(csv)):
        assert word in result.stderr
    assert "Traceback" not in result.stderr
    assert "71234" not in result.stderr
    assert charges(home, str(csv)) == 0  # nothing half-written
    assert Tracker(home).runs() == []
    checked = veilcast("check", csv)
    assert checked.exit_code == 1
    assert said in checked.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--epsilon", 0], "epsilon=0"),
        (["--epsilon", -2], "epsilon=-2"),
        (["--delta", 1], "delta=1"),
        (["--model", "transformer"], "transformer"),
        (["--unit", "household"], "household"),
        (["--mechanism", "gradient"], "source.max_count"),
        (["--unit", "interval-1"], "user-interval"),
        (["no-such-recipe"], "no-such-recipe"),
        (["--set", "privacy.epsilom=1"], "did you mean"),
        (["--epsilon", "much"], "--epsilon"),
    ],
)
def test_bad_usage_is_exit_two(home: Home, arguments: list[object], said: str) -> None:
    result = veilcast("train", *arguments, *SMALL)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not (home.root / "veilcast.db").exists()


def test_missing_file_and_unwritable_home(
    home: Home, tmp_path: Path, csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = veilcast("train", "--source", tmp_path / "count.csv", *SMALL)
    assert result.exit_code == 1
    assert f"did you mean {csv}" in result.stderr.replace("\n", "")
    (tmp_path / "file").touch()
    monkeypatch.setenv("VEILCAST_HOME", str(tmp_path / "file" / "var"))
    result = veilcast("train", "--source", csv, *SMALL)
    assert result.exit_code == 1
    assert "cannot write to" in result.stderr
    assert "VEILCAST_HOME" in result.stderr


def test_a_run_that_fails_while_recording_is_not_listed(
    home: Home, csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import flows.pipeline.figures

    def full(*_: object, **__: object) -> bytes:
        raise OSError(28, "No space left on device", "disk")

    monkeypatch.setattr(flows.pipeline.figures, "figure", full)
    result = veilcast("train", "--source", csv, "--unit", "user-day", *SMALL)
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert Tracker(home).runs() == []
    assert not list(home.reports.iterdir())


def test_check_says_what_is_usable(home: Home, csv: Path) -> None:
    document = json.loads(veilcast("check", csv, "--json").stdout)
    assert document["usable"]
    assert document["regions"] == ["north", "south"]
    assert document["intervals"] == 432
    assert "usable, 432 observed intervals of 120 minutes" in veilcast("check", csv).stdout


def test_forecast_and_runs_before_any_run(home: Home) -> None:
    result = veilcast("forecast")
    assert result.exit_code == 2
    assert "veilcast demo" in result.stderr
    assert "No such runs" in veilcast("runs").stdout


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from flows.cli.app import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'mlflow', 'prefect', 'pandas', 'opendp', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=ROOT)
