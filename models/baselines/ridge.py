"""Ridge regression on lags, seasonal lags and calendar: the linear forecast to beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge as RidgeRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from data.windows import Windows
from models.errors import ModelError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge regression of the step from the latest value (Hoerl and Kennard 1970)."""

    pipeline: Pipeline

    @classmethod
    def fit(cls, train: Windows, alpha: float = 300.0) -> Ridge:
        """Fit on standardised features.

        Args:
            train: training windows, without gaps.
            alpha: L2 penalty on the coefficients of the standardised features, above 0.

        Raises:
            ModelError: `alpha` is not above 0, or there is no window.
        """
        if not alpha > 0:
            raise ModelError(f"alpha={alpha} must be above 0")
        if not len(train):
            raise ModelError("no window to train on")
        steps = train.target - train.last[:, None]
        pipeline = make_pipeline(StandardScaler(), RidgeRegression(alpha=alpha))
        return cls(pipeline.fit(features(train), steps.reshape(len(train), -1)))

    def predict(self, windows: Windows) -> Floats:
        """Forecast, [N, H, R], in persons, clipped at 0."""
        steps: Floats = self.pipeline.predict(features(windows)).reshape(windows.target.shape)
        return np.maximum(windows.last[:, None] + steps, 0.0)


def features(windows: Windows) -> Floats:
    """Lags, seasonal lags and target calendar side by side, [N, (L + S·H)·R + H·C]."""
    parts = (windows.past, windows.seasonal, windows.calendar)
    return np.concatenate([part.reshape(len(windows), -1) for part in parts], axis=1)
