"""Scores of a model and of the baselines on the test period."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.windows import Windows
from flows.pipeline.fit import Fitted
from flows.pipeline.windows import Prepared
from models import metrics
from models.baselines import persistence, seasonal
from models.conformal import Intervals
from models.forecaster import Forecaster
from models.predict import predict
from models.tabular.ridge import Ridge

NOT_PRIVATE = "evaluated on raw data, not a private release"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """Errors in persons, computed against raw counts: not a private release.

    Attributes:
        forecast: of the model for the test windows, [N, H, R].
        scores: `rmse` and `mae` of the model, each `{mean, regions}`.
        baselines: the same by baseline; None where a baseline does not apply.
        coverage: share of the counts that prediction intervals hold, by level; empty without them.
    """

    forecast: Floats
    scores: dict[str, Any]
    baselines: dict[str, Any]
    coverage: dict[str, float]


def evaluate(fitted: Fitted, prepared: Prepared, *, ridge: bool = True) -> Evaluation:
    """Score the model and the baselines, all reading the same inputs.

    Args:
        fitted: the trained forecaster.
        prepared: windows and truth.
        ridge: whether ridge regression may be fitted; not on raw counts that nothing was spent on.
    """
    model, truth = fitted.model, prepared.truth
    forecast = predict(model, truth)
    scale = np.abs(prepared.learning.target[:, 0] - prepared.learning.last).mean(axis=0)
    more = {
        "smape": metrics.smape(forecast, truth.target, truth.regions),
        "mase": metrics.mase(forecast, truth.target, truth.regions, scale),
    }
    baselines = {
        "persistence": _score(persistence(prepared.truth), prepared.truth),
        "seasonal": _seasonal(prepared, "seasonal"),
        "seasonal_day": _seasonal(prepared, "seasonal_day"),
        "ridge": _ridge(model, prepared) if ridge else None,
    }
    scores = {**_score(forecast, truth), **{name: _plain(one) for name, one in more.items()}}
    return Evaluation(forecast, scores, baselines, _coverage(fitted.intervals, forecast, truth))


def _coverage(intervals: Intervals | None, forecast: Floats, truth: Windows) -> dict[str, float]:
    if intervals is None:
        return {}
    ends = {level: intervals.around(forecast, truth, level) for level in intervals.widths}
    return {
        f"{level:g}": metrics.coverage(low, high, truth.target, truth.regions).mean
        for level, (low, high) in ends.items()
    }


def _ridge(model: Forecaster, prepared: Prepared) -> dict[str, Any]:
    linear = Ridge(model.config)
    linear.fit(prepared.split.train)
    return _score(predict(linear, prepared.truth), prepared.truth)


def _seasonal(prepared: Prepared, name: str) -> dict[str, Any] | None:
    windows = prepared.seasons.get(name)
    return None if windows is None else _score(seasonal(windows, 0), windows)


def _score(forecast: Floats, truth: Windows) -> dict[str, Any]:
    both = {"rmse": metrics.rmse, "mae": metrics.mae}
    return {name: _plain(of(forecast, truth.target, truth.regions)) for name, of in both.items()}


def _plain(metric: metrics.RegionMetric) -> dict[str, Any]:
    """JSON values; null where a metric is not known."""
    known = {name: value if value == value else None for name, value in metric.regions.items()}
    return {"mean": metric.mean if metric.mean == metric.mean else None, "regions": known}
