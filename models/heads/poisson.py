"""Generalised linear forecasts: the logarithm of the expected count is linear in logarithms of the past.

Noised counts may be negative, and clipping would raise their mean. They are not clipped:
quasi-likelihoods (Wedderburn 1974) need only the mean of the counts, which noise does not change, and
how the variance grows with it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from torch import Tensor

from data.windows import Windows
from models import solvers
from models.batch import Batch, to_device
from models.config import ForecasterConfig
from models.forecaster import fit_scaler
from models.heads.families import Family, PoissonLike, by_moments
from models.solvers import gns
from models.tabular.base import Floats, Tabular, rows, weighted, width

_PENALTIES = np.logspace(0, 5, 16)


class Poisson(Tabular):
    """Poisson regression with a ridge penalty, solved by gradient-normalized steps.

    log μ = offset + b + x·w. Counts c enter as asinh(c/step), which is linear near 0 and a logarithm
    further out, and is defined for negative ones. The offset is the logarithm of the latest count c kept
    positive, (c + √(c² + step²))/2: an untrained forecaster is close to persistence. Each step ahead has
    its own coefficients and reads the calendar and seasonal values of its own interval. Forecasts are at
    most twice the largest count in training. The ridge penalty accounts for noise in the inputs: it is
    chosen by leave-one-out for the first step of Fisher scoring.

    Args:
        config: shape of the forecaster.
        seed: unused, as nothing is random.
        solver: `gns`, or None.

    Raises:
        ModelError: a solver of other forecasters.
    """

    head: ClassVar[str] = "poisson"
    weights: Tensor
    bias: Tensor
    most: Tensor

    def __init__(
        self, config: ForecasterConfig, seed: int = 0, *, solver: str | None = None
    ) -> None:
        super().__init__(config, seed)
        solvers.choose(solver, self.head)
        ahead, regions = config.horizon, len(config.regions)
        features = width(replace(config, horizon=1))
        self.register_buffer("centre", torch.zeros(ahead, features))
        self.register_buffer("spread", torch.ones(ahead, features))
        self.register_buffer("weights", torch.zeros(ahead, features, regions))
        self.register_buffer("bias", torch.zeros(ahead, regions))
        self.register_buffer("most", torch.full((regions,), torch.inf))

    def fit(self, windows: Windows) -> None:
        """Fit in place.

        Args:
            windows: training windows without gaps; under privacy noised already.
        """
        fit_scaler(self, windows)
        batch = to_device(windows, torch.device("cpu"))
        self.most = torch.log(2 * torch.maximum(batch.target.amax(dim=(0, 1)), self.step))
        features = [self._features(batch, ahead) for ahead in range(self.config.horizon)]
        spread = torch.stack([part.std(dim=0, correction=0) for part in features])
        self.centre = torch.stack([part.mean(dim=0) for part in features])
        self.spread = torch.where(spread > 1e-6, spread, torch.ones(()))
        offset = self._offset(batch).numpy().astype(np.float64)
        counts = batch.target.numpy().astype(np.float64)
        for ahead, part in enumerate(features):
            table = self._standard(part, ahead).numpy().astype(np.float64)
            for region in range(len(self.config.regions)):
                beta = self.fit_counts(table, offset[:, region], counts[:, ahead, region])
                self.weights[ahead, :, region] = torch.from_numpy(beta[:-1])
                self.bias[ahead, region] = float(beta[-1])

    def fit_counts(self, table: Floats, offset: Floats, counts: Floats) -> Floats:
        """Coefficients and, last, bias, [F + 1], of features, [N, F], for counts, [N]."""
        return _solve(PoissonLike(), table, offset, counts)

    def forward(self, batch: Batch) -> Tensor:
        """Return the forecast, [B, H, R], persons; above 0."""
        logs = [
            weighted(
                self._standard(self._features(batch, ahead), ahead),
                self.weights[ahead],
                self.bias[ahead],
            )
            for ahead in range(self.config.horizon)
        ]
        offset = self._offset(batch)[:, None]
        return torch.exp(torch.minimum(offset + torch.stack(logs, dim=1), self.most))

    def _log(self, counts: Tensor) -> Tensor:
        return torch.asinh(counts / self.step)

    def _offset(self, batch: Batch) -> Tensor:
        return self._log(batch.past[:, -1]) + torch.log(self.step / 2)

    def _features(self, batch: Batch, ahead: int) -> Tensor:
        """Return the features of one step ahead, [B, F]: changes of logarithms."""
        step, last = slice(ahead, ahead + 1), batch.past[:, None, -1:]
        changed = replace(
            batch,
            past=self._log(batch.past),
            seasonal=self._log(batch.seasonal[:, :, step]),
            seasonal_context=self._log(batch.seasonal_context),
            seasonal_change=self._log(last + batch.seasonal_change[:, :, step]) - self._log(last),
            calendar=batch.calendar[:, step],
        )
        return rows(changed)

    def _standard(self, features: Tensor, ahead: int) -> Tensor:
        return (features - self.centre[ahead]) / self.spread[ahead]


class NegBin(Poisson):
    """Negative binomial regression, for counts whose variance grows faster than their mean.

    Noise and dispersion are estimated from the residuals of the Poisson fit, by moments: (y − μ)² − μ
    regressed on 1 and μ² with coefficients of 0 or more (after Cameron and Trivedi 1990). The part
    that does not grow with the mean is noise: noise of a privacy mechanism is not taken as dispersion.
    """

    head = "negbin"

    def fit_counts(self, table: Floats, offset: Floats, counts: Floats) -> Floats:
        """Coefficients and, last, bias, [F + 1], of features, [N, F], for counts, [N]."""
        beta = super().fit_counts(table, offset, counts)
        family = by_moments(np.exp(offset + table @ beta[:-1] + beta[-1]), counts)
        return _solve(family, table, offset, counts)


def _solve(family: Family, table: Floats, offset: Floats, counts: Floats) -> Floats:
    """Return coefficients and, last, bias, [F + 1], with the least mean loss plus penalty."""
    full = np.column_stack([table, np.ones(len(table))])

    def fisher(eta: Floats) -> Floats:
        return np.asarray(np.exp(eta) * family.weight(np.exp(eta)))

    def slope(eta: Floats) -> Floats:
        return np.asarray((np.exp(eta) - counts) * family.weight(np.exp(eta)))

    # the first step of Fisher scoring is a ridge regression, whose best penalty is known in closed form
    weights = fisher(offset)
    scale = float(weights.mean())
    first = RidgeCV(_PENALTIES).fit(table, -slope(offset) / weights, sample_weight=weights / scale)
    # a small penalty on the bias, too: the best bias is −∞ where the counts sum to 0 or less
    ridge = np.append(np.full(table.shape[1], float(first.alpha_)), 1.0) / len(table)
    unit = scale * len(table)

    def value(beta: Floats) -> float:
        return float(family.loss(offset + full @ beta, counts).sum() / unit + ridge @ beta**2 / 2)

    def gradient(beta: Floats) -> Floats:
        return np.asarray(full.T @ slope(offset + full @ beta) / unit + ridge * beta)

    def curvature(beta: Floats) -> Floats:
        bent = full.T @ (fisher(offset + full @ beta)[:, None] * full)
        return np.asarray(bent / unit + np.diag(ridge))

    return gns.minimise(value, gradient, curvature, np.zeros(full.shape[1]), tolerance=1e-7).point
