"""Forecasts of periods that were not learned from, one after the other."""

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
"""Training windows to a fitted forecaster."""


@dataclass(frozen=True)
class Fold:
    """One period: what was forecast for it, and by a model that had seen nothing of it.

    Attributes:
        windows: of the period, targets observed.
        forecast: [N, H, R], persons.
    """

    windows: Windows
    forecast: Floats


def backtest(
    fit: Fit, windows: Windows, *, folds: int, size: int, refit: bool = True
) -> tuple[Fold, ...]:
    """Rolling-origin folds (Tashman 2000): the last `folds` periods of `size` intervals each.

    Args:
        fit: makes a forecaster of training windows.
        windows: all that may be looked at, in order; leave the test period out.
        folds: periods.
        size: length of each, in intervals.
        refit: whether to fit anew before each period; if not, the forecaster of the first period
            slides over all of them.

    Raises:
        DataError: too few windows.
    """
    model: Forecaster | None = None
    result = []
    for part in rolling_origin(windows, folds=folds, size=size):
        if model is None or refit:
            model = fit(part.train)
        result.append(Fold(part.test, predict(model, part.test)))
    return tuple(result)
