"""Windows as rows of features, and the base class of forecasters that read them."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data.windows import Windows
from models.batch import Batch, to_device
from models.config import ForecasterConfig
from models.forecaster import Forecaster, fit_scaler

Floats = NDArray[np.float64]


def width(config: ForecasterConfig) -> int:
    """Return F, the number of features of a window."""
    seasons, context = config.seasonal, config.seasonal_context
    values = config.lags + config.horizon * (seasons + config.seasonal_change)
    values += seasons * context if context else 0
    return values * len(config.regions) + config.horizon * config.features


def rows(batch: Batch) -> Tensor:
    """Return the features of each window, [B, F], in persons except for the calendar.

    All are steps from the latest value, or from the latest value of a season ago, except for one: the
    latest value itself, which is the level.
    """
    last = batch.past[:, -1:]
    parts = [last, batch.past[:, :-1] - last]
    if batch.seasonal_context.shape[2]:
        latest = batch.seasonal_context[:, :, -1:]
        parts += [batch.seasonal - latest, last[:, None] - latest]
        reach = min(batch.seasonal_context.shape[2], batch.past.shape[1])
        then = batch.seasonal_context[:, :, -reach:-1] - latest
        parts.append((batch.past[:, -reach:-1] - last)[:, None] - then)
        if reach < batch.seasonal_context.shape[2]:
            parts.append(batch.seasonal_context[:, :, :-reach] - latest)
    else:
        parts.append(batch.seasonal - last[:, None])
    parts += [batch.seasonal_change, batch.calendar]
    return torch.cat([part.flatten(1) for part in parts], dim=1)


class Tabular(Forecaster):
    """The latest value plus a step that is predicted from a row of standardised features.

    Attributes:
        centre, spread: mean and standard deviation of each feature in training, [F].
        seed: of the random numbers of fitting.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, config: ForecasterConfig, seed: int = 0) -> None:
        super().__init__(config)
        self.seed = seed
        self.register_buffer("centre", torch.zeros(width(config)))
        self.register_buffer("spread", torch.ones(width(config)))

    @property
    def outputs(self) -> int:
        """H·R, the number of values of a forecast."""
        return self.config.horizon * len(self.config.regions)

    def fit(self, windows: Windows) -> None:
        """Fit in place.

        Args:
            windows: training windows without gaps; under privacy noised already.
        """
        fit_scaler(self, windows)
        batch = to_device(windows, torch.device("cpu"))
        features = rows(batch)
        self.centre = features.mean(dim=0)
        spread = features.std(dim=0, correction=0)
        self.spread = torch.where(spread > 1e-6, spread, torch.ones(()))
        steps = (batch.target - batch.past[:, -1:]) / self.step
        self.fit_rows(self._standardised(features), steps.flatten(1).numpy().astype(np.float64))

    def forward(self, batch: Batch) -> Tensor:
        """Return the forecast, [B, H, R], persons."""
        steps = self.steps(self._standardised(rows(batch))).reshape(batch.target.shape)
        forecast: Tensor = batch.past[:, -1:] + steps * self.step
        return forecast

    def fit_rows(self, features: Tensor, steps: Floats) -> None:
        """Fit steps, [N, H·R], in units of `step`, to features, [N, F]."""
        raise NotImplementedError

    def steps(self, features: Tensor) -> Tensor:
        """Return steps, [B, H·R], in units of `step`."""
        raise NotImplementedError

    def _standardised(self, features: Tensor) -> Tensor:
        return (features - self.centre) / self.spread


def weighted(features: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """Apply a linear map in double precision: features are many and alike, and sums nearly cancel."""
    return (features.double() @ weights.double() + bias.double()).to(features.dtype)


def frequency_scale(gamma: float, features: int) -> float:
    """Return the standard deviation of frequencies whose kernel is e^(−γ‖x−y‖²/F)."""
    return math.sqrt(2 * gamma / features)
