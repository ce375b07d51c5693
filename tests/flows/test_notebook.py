"""What notebooks use: a run is trained, opened again, read and drawn; raw counts are never unnamed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from data import load
from data.errors import DataError
from dp.ledger import Ledger
from flows.errors import UsageError
from flows.notebook import Run, list_runs, load_run, train
from flows.settings import Home

SETTINGS = {
    "model.name": "ridge",
    "windows.lags": 6,
    "windows.horizon": 2,
    "privacy.unit": "user-day",
}


@pytest.fixture(autouse=True)
def _no_windows() -> Iterator[None]:
    matplotlib.use("agg")
    yield
    plt.close("all")


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    """Six weeks of two-hour counts of two regions; raw ones have seven digits."""
    times = pd.date_range("2024-01-01", periods=12 * 42, freq="2h", name="time")
    wave = 40_000 * np.sin(np.arange(len(times)) / 12 * 2 * np.pi)[:, None]
    noise = np.random.default_rng(5).integers(0, 9_999, (len(times), 2))
    path = tmp_path / "counts.csv"
    pd.DataFrame((7_000_000 + wave + noise).astype(int), times, ["north", "south"]).to_csv(path)
    return path


def drawn(axes: np.ndarray) -> list[str]:
    figure = axes[0].figure
    labels = [line.get_label() for axis in axes for line in axis.lines]
    return [figure.get_suptitle(), *(text.get_text() for text in figure.texts), *labels]


def test_raw_counts_are_drawn_as_such(csv: Path) -> None:
    panel = load.from_csv(csv, regions_per_interval=1)
    axes = panel.plot()
    assert len(axes) == 2
    assert "raw, not private" in drawn(axes)[0]
    assert np.array_equal(axes[1].lines[0].get_ydata(), panel.values[:, 1])
    assert len(panel.plot(["south"])) == 1
    with pytest.raises(ValueError, match="no region 'west'; there are north, south"):
        panel.plot(["west"])
    assert "7" not in repr(panel).replace(str(csv), "")


def test_a_file_with_faults_stops_and_an_odd_one_warns(csv: Path, tmp_path: Path) -> None:
    table = pd.read_csv(csv)
    bad, odd = tmp_path / "bad.csv", tmp_path / "odd.csv"
    table.assign(north=-1).to_csv(bad, index=False)
    with pytest.raises(DataError, match="negative-count"):
        load.from_csv(bad)
    table.drop(index=[40, 41]).to_csv(odd, index=False)
    with pytest.warns(UserWarning, match="missing-intervals") as said:
        load.from_csv(odd)
    assert said[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load.from_csv(csv)


def test_a_private_run_is_opened_and_drawn_again(home: Home, csv: Path) -> None:
    run = train(settings={**SETTINGS, "source.name": str(csv), "source.regions_per_interval": 1})
    charged = len(Ledger(home.database_url).entries())
    again = load_run(run.run_id[:8])
    assert again == load_run("latest") == run
    assert list(list_runs()["run_id"]) == [run.run_id]

    released, raw = again.released(), load.from_csv(csv)
    assert released.noised
    assert not raw.noised
    assert (released.values != raw.values).any()
    assert "released, with noise" in drawn(released.plot())[0]

    forecast = again.forecast()
    assert forecast.values.shape == (2, 2)
    assert forecast.values.index[0] == raw.times[-1] + raw.interval
    axes = forecast.plot(days=1)
    assert any("nothing more is spent" in text for text in drawn(axes))
    before, made = axes[0].lines[0].get_ydata(), axes[0].lines[1].get_ydata()
    assert np.array_equal(before, released.values[-12:, 0])
    assert np.array_equal(made, forecast.values["north"])

    statement = again.statement()
    assert "one person on one calendar day" in str(statement)
    assert statement._repr_markdown_() == str(statement)
    assert statement.values["delta"] == 1e-7
    assert len(Ledger(home.database_url).entries()) == charged


def test_a_run_on_raw_counts_draws_its_forecast_alone(home: Home, csv: Path) -> None:
    run = train(settings={**SETTINGS, "source.name": str(csv), "privacy.mechanism": "none"})
    assert isinstance(run, Run)
    axes = run.forecast().plot()
    assert [line.get_label() for line in axes[0].lines] == ["forecast"]
    assert any("no guarantee" in text for text in drawn(axes))
    with pytest.raises(UsageError, match="released no counts"):
        run.released()


def test_a_run_that_is_not_there_is_told(home: Home) -> None:
    with pytest.raises(UsageError, match="no runs yet"):
        load_run()
