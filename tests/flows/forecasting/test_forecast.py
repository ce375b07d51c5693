"""What forecasters expect: a day ahead, intervals that hold, gaps, forecasters of every kind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from data import sources, validate
from flows.cli.app import app
from flows.settings import Home


def veilcast(*arguments: object):  # type: ignore[no-untyped-def]
    return CliRunner().invoke(app, [str(one) for one in arguments])


def document(*arguments: object) -> dict:
    result = veilcast(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight weeks of hours, a day of them missing."""
    city = "synthetic:days=56,interval=60min,persons=3000"
    frame = validate.to_panel(sources.read(city), max_gap="1d")[0].counts
    path = tmp_path_factory.mktemp("city") / "city.csv"
    frame.drop(frame.index[700:724]).to_csv(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ridge", "blend"])
def test_a_day_ahead_with_intervals_that_hold(home: Home, csv: Path, name: str) -> None:
    run = document(
        "train",
        "--source",
        csv,
        "--model",
        name,
        "--epsilon",
        2,
        "--unit",
        "user-day",
        "--set",
        "windows.horizon=24",
        "--set",
        'windows.calibration="14d"',
        "--set",
        "windows.lags=24",
        "--set",
        "source.regions_per_interval=1",
    )
    assert run["rmse"]["mean"] < run["baselines"]["persistence"]["rmse"]["mean"]
    assert run["mase"]["mean"] > 0
    for level, held in run["coverage"].items():
        assert held > float(level) - 0.1  # calibrated on noised counts: rather too wide
    ahead = document("forecast", run["run_id"])
    forecast = np.array(ahead["forecast"])
    assert forecast.shape == (24, 6)
    wide, narrow = (ahead["intervals"][level] for level in ("0.95", "0.5"))
    assert (np.array(wide["low"]) <= np.array(narrow["low"])).all()
    assert (np.array(narrow["low"]) <= forecast + 0.1).all()
    assert (forecast <= np.array(wide["high"]) + 0.1).all()
    assert "nine counts of ten" in veilcast("forecast", run["run_id"]).stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fourier", "trees"])
def test_every_kind_is_trained_recorded_and_found_again(home: Home, csv: Path, name: str) -> None:
    run = document("train", "--source", csv, "--model", name, "--mechanism", "none")
    assert run["rmse"]["mean"] < run["baselines"]["persistence"]["rmse"]["mean"]
    assert run["coverage"] == {}
    ahead = document("forecast", run["run_id"][:8])
    assert ahead["intervals"] == {}
    assert np.isfinite(ahead["forecast"]).all()


def test_a_region_that_never_changes(home: Home, tmp_path: Path, csv: Path) -> None:
    import pandas as pd

    frame = pd.read_csv(csv, index_col=0)
    frame["still"] = 7
    path = tmp_path / "still.csv"
    frame.to_csv(path)
    run = document("train", "--source", path, "--model", "blend", "--mechanism", "none")
    assert run["rmse"]["regions"]["still"] == pytest.approx(0, abs=0.1)
    assert run["mase"]["regions"]["still"] is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["windows.horizon=24", 'windows.test="12h"'], "12 intervals of test"),
        (["windows.horizon=48"], "seasonal lag 24 is shorter than the horizon 48"),
        (['windows.calibration="90d"'], "fewer or shorter folds"),
        (['windows.calibration="soon"'], "soon"),
        (["windows.around=-1"], "around"),
        (["model.members=[]", 'model.name="blend"'], "members"),
    ],
)
def test_what_cannot_be_forecast_is_told(
    home: Home, csv: Path, settings: list[str], said: str
) -> None:
    given = [part for setting in settings for part in ("--set", setting)]
    result = veilcast("train", "--source", csv, "--mechanism", "none", "--model", "ridge", *given)
    assert result.exit_code in (1, 2), result.output
    assert said in " ".join(result.output.split())


@pytest.mark.parametrize(
    "setting", ["windows.around=4", 'windows.calibration="7d"', 'model.name="trees"']
)
def test_what_costs_budget_under_gradient_is_refused(home: Home, csv: Path, setting: str) -> None:
    result = veilcast("train", "gradient", "--source", csv, "--set", setting)
    assert result.exit_code == 2
    assert "gradient" in result.output
