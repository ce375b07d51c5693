"""Backtests: forecasts of successive periods that the model was not trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.split import rolling_origin
from data.windows import Windows
from models.forecaster import Forecaster
from models.predict import predict

Floats = NDArray[np.float64]
Fit = Callable[[Windows], Forecaster]
"""From training windows to a fitted forecaster."""


@dataclass(frozen=True)
class Fold:
    """One period, and the forecast of a model that was not trained on it.

    Attributes:
        windows: of the period, targets observed.
        forecast: [N, H, R], persons.
    """

    windows: Windows
    forecast: Floats


def backtest(
    fit: Fit, windows: Windows, *, folds: int, size: int, refit: bool = True
) -> tuple[Fold, ...]:
    """Return rolling-origin folds (Tashman 2000): the last `folds` periods of `size` intervals each.

    Args:
        fit: returns a forecaster fitted to training windows.
        windows: all that may be read, in order; leave the test period out.
        folds: number of periods.
        size: length of each, in intervals.
        refit: whether to fit anew before each period; if not, the forecaster of the first period is
            used for all of them.

    Raises:
        DataError: too few windows.
    """
    model: Forecaster | None = None
    results = []
    for part in rolling_origin(windows, folds=folds, size=size):
        if model is None or refit:
            model = fit(part.train)
        results.append(Fold(part.test, predict(model, part.test)))
    return tuple(results)
