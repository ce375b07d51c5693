"""Ridge regression on random Fourier features: smooth forecasts without storing training windows."""

from __future__ import annotations

import math

import numpy as np
import torch
from sklearn.linear_model import Ridge as RidgeRegression
from torch import Tensor

from models.config import ForecasterConfig
from models.tabular.base import Floats, Tabular, frequency_scale, weighted, width

WAVES = 3_000
_GAMMA, _PENALTY = 0.3, 1.0


class Fourier(Tabular):
    """Kernel ridge regression with a Gaussian kernel, approximated (Rahimi and Recht 2007).

    The kernel is e^(−γ‖x−y‖²/F). Frequencies are public random numbers, and only the weights are
    learned; exact kernel regression would have to store the training windows.
    """

    frequencies: Tensor
    phases: Tensor
    weights: Tensor
    bias: Tensor

    def __init__(self, config: ForecasterConfig, seed: int = 0) -> None:
        super().__init__(config, seed)
        features = width(config)
        draw = np.random.default_rng(seed)
        frequencies = draw.normal(size=(features, WAVES)) * frequency_scale(_GAMMA, features)
        self.register_buffer("frequencies", torch.from_numpy(frequencies).float())
        self.register_buffer("phases", torch.from_numpy(draw.uniform(0, 2 * np.pi, WAVES)).float())
        self.register_buffer("weights", torch.zeros(WAVES, self.outputs))
        self.register_buffer("bias", torch.zeros(self.outputs))

    def fit_rows(self, features: Tensor, steps: Floats) -> None:
        """Fit ridge regression on the waves."""
        waves = self._waves(features).numpy().astype(np.float64)
        fitted = RidgeRegression(_PENALTY, solver="cholesky").fit(waves, steps)
        coefficients = np.asarray(fitted.coef_).reshape(self.outputs, -1).T
        self.weights = torch.from_numpy(coefficients.copy()).float()
        self.bias = torch.from_numpy(np.atleast_1d(fitted.intercept_)).float()

    def steps(self, features: Tensor) -> Tensor:
        """Return a linear map of the waves."""
        return weighted(self._waves(features), self.weights, self.bias)

    def _waves(self, features: Tensor) -> Tensor:
        return math.sqrt(2 / WAVES) * torch.cos(features @ self.frequencies + self.phases)
