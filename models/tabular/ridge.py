"""Ridge regression: the linear forecast to beat, and the linear part of trees."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from torch import Tensor

from models.config import ForecasterConfig
from models.tabular.base import Floats, Tabular, weighted, width

_PENALTIES = np.logspace(0, 5, 16)


class Ridge(Tabular):
    """Ridge regression (Hoerl and Kennard 1970), its penalty chosen by leave-one-out."""

    weights: Tensor
    bias: Tensor

    def __init__(self, config: ForecasterConfig, seed: int = 0) -> None:
        super().__init__(config, seed)
        self.register_buffer("weights", torch.zeros(width(config), self.outputs))
        self.register_buffer("bias", torch.zeros(self.outputs))

    def fit_rows(self, features: Tensor, steps: Floats) -> None:
        """Fit with the best of sixteen penalties."""
        fitted = RidgeCV(_PENALTIES).fit(features.numpy().astype(np.float64), steps)
        coefficients = np.asarray(fitted.coef_).reshape(self.outputs, -1).T
        self.weights = torch.from_numpy(coefficients.copy()).float()
        self.bias = torch.from_numpy(np.atleast_1d(fitted.intercept_)).float()

    def steps(self, features: Tensor) -> Tensor:
        """Return a linear map of the features."""
        return weighted(features, self.weights, self.bias)
