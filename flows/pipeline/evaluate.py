"""Scores of a model and of the baselines on the test period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.windows import Windows
from flows.pipeline.fit import Fitted
from flows.pipeline.result import BaselineErrors, Metric
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
        rmse: of the model, in persons.
        mae: in persons.
        smape: a ratio.
        mase: a ratio.
        baselines: errors by baseline; None where one does not apply.
        coverage: share of the counts that prediction intervals hold, by level; empty without them.
    """

    forecast: Floats
    rmse: Metric
    mae: Metric
    smape: Metric
    mase: Metric
    baselines: dict[str, BaselineErrors | None]
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
    baselines: dict[str, BaselineErrors | None] = {
        "persistence": _score(persistence(prepared.truth), prepared.truth),
        "seasonal": _seasonal(prepared, "seasonal"),
        "seasonal_day": _seasonal(prepared, "seasonal_day"),
        "ridge": _ridge(model, prepared) if ridge else None,
    }
    errors = _score(forecast, truth)
    return Evaluation(
        forecast=forecast,
        rmse=errors.rmse,
        mae=errors.mae,
        smape=_plain(metrics.smape(forecast, truth.target, truth.regions)),
        mase=_plain(metrics.mase(forecast, truth.target, truth.regions, scale)),
        baselines=baselines,
        coverage=_coverage(fitted.intervals, forecast, truth),
    )


def _coverage(intervals: Intervals | None, forecast: Floats, truth: Windows) -> dict[str, float]:
    if intervals is None:
        return {}
    ends = {level: intervals.around(forecast, truth, level) for level in intervals.widths}
    return {
        f"{level:g}": metrics.coverage(low, high, truth.target, truth.regions).mean
        for level, (low, high) in ends.items()
    }


def _ridge(model: Forecaster, prepared: Prepared) -> BaselineErrors:
    linear = Ridge(model.config)
    linear.fit(prepared.split.train)
    return _score(predict(linear, prepared.truth), prepared.truth)


def _seasonal(prepared: Prepared, name: str) -> BaselineErrors | None:
    windows = prepared.seasons.get(name)
    return None if windows is None else _score(seasonal(windows, 0), windows)


def _score(forecast: Floats, truth: Windows) -> BaselineErrors:
    arguments = forecast, truth.target, truth.regions
    return BaselineErrors(_plain(metrics.rmse(*arguments)), _plain(metrics.mae(*arguments)))


def _plain(metric: metrics.RegionMetric) -> Metric:
    """None where a metric is not known."""
    known = {name: value if value == value else None for name, value in metric.regions.items()}
    return Metric(metric.mean if metric.mean == metric.mean else None, known)
