"""Scores of a model and of the baselines on the test period."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.windows import Windows
from flows.prepare import Prepared
from models import metrics
from models.baselines import Ridge, persistence, seasonal
from models.forecaster import Forecaster
from models.predict import predict

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """Errors in persons, computed against raw counts: not a private release.

    Attributes:
        forecast: of the model for the test windows, [N, H, R].
        scores: `rmse` and `mae` of the model, each `{mean, regions}`.
        baselines: the same by baseline; None where a baseline does not apply.
    """

    forecast: Floats
    scores: dict[str, Any]
    baselines: dict[str, Any]


def evaluate(model: Forecaster, prepared: Prepared, *, ridge: bool = True) -> Evaluation:
    """Score the model and the baselines, all reading the same inputs.

    Args:
        model: the trained forecaster.
        prepared: windows and truth.
        ridge: whether ridge regression may be fitted; not on raw counts that nothing was spent on.
    """
    forecast = predict(model, prepared.truth)
    baselines = {
        "persistence": _score(persistence(prepared.truth), prepared.truth),
        "seasonal": _seasonal(prepared, "seasonal"),
        "seasonal_day": _seasonal(prepared, "seasonal_day"),
        "ridge": _ridge(prepared) if ridge else None,
    }
    return Evaluation(forecast, _score(forecast, prepared.truth), baselines)


def _ridge(prepared: Prepared) -> dict[str, Any]:
    fitted = Ridge.fit(prepared.split.train)
    return _score(fitted.predict(prepared.truth), prepared.truth)


def _seasonal(prepared: Prepared, name: str) -> dict[str, Any] | None:
    windows = prepared.seasons.get(name)
    return None if windows is None else _score(seasonal(windows, 0), windows)


def _score(forecast: Floats, truth: Windows) -> dict[str, Any]:
    result = {}
    for name in ("rmse", "mae"):
        metric = getattr(metrics, name)(forecast, truth.target, truth.regions)
        result[name] = {"mean": metric.mean, "regions": metric.regions}
    return result
