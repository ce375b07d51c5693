"""Metrics against their formulas, and intervals that hold what they promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from data.panel import Panel
from data.windows import Windows, WindowSpec, make
from models import metrics
from models.backtest import backtest
from models.config import ForecasterConfig
from models.conformal import Intervals, fit_intervals, quarters
from models.errors import ModelError
from models.forecasters import fit, new
from models.predict import predict
from models.training.config import TrainingConfig

REGIONS = ("a", "b")


def some(seed: int, shape: tuple[int, ...] = (40, 2, 2)) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 100, shape)


def test_smape_and_mase_are_their_formulas() -> None:
    forecast, target = some(0), some(1)
    want = np.mean(
        [
            2 * abs(f - y) / (f + y)
            for f, y in zip(forecast[..., 0].flat, target[..., 0].flat, strict=True)
        ]
    )
    assert metrics.smape(forecast, target, REGIONS).regions["a"] == pytest.approx(want)
    assert metrics.smape(forecast * 0, target * 0, REGIONS).mean == 0
    found = metrics.mase(forecast, target, REGIONS, np.array([2.0, 0.0]))
    assert found.regions["a"] == pytest.approx(np.abs(forecast - target)[..., 0].mean() / 2)
    assert np.isnan(found.regions["b"])
    assert found.mean == found.regions["a"]


def test_pinball_is_least_at_the_quantile() -> None:
    target = some(2, (4000, 1, 2))
    losses = {
        at: metrics.pinball(np.full_like(target, at), target, REGIONS, 0.9).mean
        for at in (80.0, 90.0, 97.0)
    }
    assert min(losses, key=losses.__getitem__) == 90.0
    assert metrics.pinball(target, target, REGIONS, 0.3).mean == 0
    one = np.ones((1, 1, 2))
    assert metrics.pinball(one * 3, one * 5, REGIONS, 0.9).mean == pytest.approx(1.8)
    assert metrics.pinball(one * 5, one * 3, REGIONS, 0.9).mean == pytest.approx(0.2)


def test_coverage_counts_what_lies_inside() -> None:
    target = np.arange(10.0).reshape(5, 1, 2)
    found = metrics.coverage(np.full_like(target, 2), np.full_like(target, 6), target, REGIONS)
    assert found.regions == {"a": 0.6, "b": 0.4}


def spread_windows(panel: Panel, horizon: int) -> tuple[Windows, np.ndarray]:
    """Windows, and forecasts that are four times as far off in the afternoon."""
    windows = make(panel, panel, WindowSpec(2, (24,), horizon))
    wide = np.where(quarters(windows) == 2, 4.0, 1.0)[..., None]
    off = np.random.default_rng(0).normal(size=windows.target.shape) * 10 * wide
    return windows, windows.target + off


@pytest.mark.parametrize("horizon", [1, 3])
def test_intervals_hold_as_many_targets_as_promised(toy_panel: Panel, horizon: int) -> None:
    windows, forecast = spread_windows(toy_panel, horizon)
    half = len(windows) // 2
    first, second = windows.take(slice(0, half)), windows.take(slice(half, None))
    found = fit_intervals(forecast[:half], first, (0.5, 0.8))
    found = Intervals.from_dict(found.to_dict())
    for level in (0.5, 0.8):
        low, high = found.around(forecast[half:], second, level)
        held = metrics.coverage(low, high, second.target, second.regions)
        assert held.mean == pytest.approx(level, abs=0.09)
    narrow, wide = found.widths[0.8][0], found.widths[0.8][2]
    assert (wide > 2 * narrow).all()
    assert low.min() >= 0


def test_the_conformal_rank_is_the_one_of_the_theorem(toy_panel: Panel) -> None:
    windows, forecast = spread_windows(toy_panel, 1)
    chosen = quarters(windows)[:, 0] == 1
    off = np.sort(np.abs(forecast - windows.target)[chosen, 0, 0])
    found = fit_intervals(forecast, windows, (0.9,))
    assert found.widths[0.9][1, 0, 0] == off[int(np.ceil((len(off) + 1) * 0.9)) - 1]


def test_too_few_windows_for_a_level_are_refused(toy_panel: Panel) -> None:
    windows, forecast = spread_windows(toy_panel, 1)
    with pytest.raises(ModelError, match=r"windows\.calibration"):
        fit_intervals(forecast[:40], windows.take(slice(0, 40)), (0.95,))
    with pytest.raises(ModelError, match=r"level=0.7 was not calibrated; choose one of \[0.5\]"):
        fit_intervals(forecast, windows, (0.5,)).around(forecast, windows, 0.7)


@pytest.mark.parametrize("refit", [True, False])
def test_no_fold_is_forecast_by_a_model_that_saw_it(toy_panel: Panel, refit: bool) -> None:
    windows = make(toy_panel, toy_panel, WindowSpec(3, (24,), 2))
    ends = []

    def learn(train: Windows) -> Any:
        ends.append(train.ends.max())
        config = ForecasterConfig(
            model="ridge", regions=train.regions, lags=3, seasonal=1, horizon=2
        )
        model = new(config, 0)
        fit(model, train, None, TrainingConfig())
        return model

    folds = backtest(learn, windows, folds=3, size=48, refit=refit)
    assert len(ends) == (3 if refit else 1)
    for number, fold in enumerate(folds):
        assert ends[number if refit else 0] <= fold.windows.times[0]
        assert fold.forecast.shape == fold.windows.target.shape
    assert folds[0].windows.ends.max() <= folds[1].windows.times.min()
    assert predict(learn(windows), folds[0].windows).shape == folds[0].forecast.shape
