"""Sparse linear forecasts: SCAD along a path of penalties, with the best λ by BIC."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models import solvers
from models.config import ForecasterConfig
from models.solvers import accelerated, prox_cg
from models.solvers.penalties import L1, Mcp, Scad, strong
from models.tabular.base import Floats, Tabular, weighted, width

Solve = Callable[..., solvers.Solution]
PenaltyOf = type[L1] | type[Mcp] | type[Scad]

_SOLVERS: dict[str, Solve] = {"prox_cg": prox_cg.minimise, "accelerated": accelerated.minimise}
_RATES = np.logspace(0, -3, 40)
"""λ, in units of the smallest that leaves every feature out."""
_WORSE = 5
"""Number of λ in a row with a worse BIC than the best after which the path ends."""
_TOLERANCE = 1e-6


class Sparse(Tabular):
    """Least squares with a penalty that leaves out most features and does not shrink the others.

    λ is chosen for each output by the Bayesian information criterion, which selects the right features
    under SCAD (Wang, Li and Tsai 2007). Under privacy the steps are noised already: the choice is free.

    Attributes:
        penalty: `Scad`, `Mcp` or `L1`; of the class.

    Args:
        config: shape of the forecaster.
        seed: unused, as nothing is random.
        solver: `prox_cg` or `accelerated`; None for the default.

    Raises:
        ModelError: a solver of other forecasters.
    """

    penalty: PenaltyOf = Scad
    weights: Tensor
    bias: Tensor

    def __init__(
        self, config: ForecasterConfig, seed: int = 0, *, solver: str | None = None
    ) -> None:
        super().__init__(config, seed)
        self._solve = _SOLVERS[solvers.choose(solver, "sparse")]
        self.register_buffer("weights", torch.zeros(width(config), self.outputs))
        self.register_buffer("bias", torch.zeros(self.outputs))

    def fit_rows(self, features: Tensor, steps: Floats) -> None:
        """Follow the path of every output until BIC stops improving."""
        rows = features.numpy().astype(np.float64)
        centre, mean = rows.mean(axis=0), steps.mean(axis=0)
        rows -= centre  # so that the bias is not penalised
        gram, moments = rows.T @ rows / len(rows), rows.T @ (steps - mean) / len(rows)
        power = np.square(steps - mean).mean(axis=0)
        coefficients = np.stack(
            [
                self._best(gram, moments[:, output], float(power[output]), len(rows))
                for output in range(self.outputs)
            ],
            axis=1,
        )
        self.weights = torch.from_numpy(coefficients).float()
        self.bias = torch.from_numpy(mean - centre @ coefficients).float()

    def steps(self, features: Tensor) -> Tensor:
        """Return a linear map of the features."""
        return weighted(features, self.weights, self.bias)

    def _best(self, gram: Floats, moments: Floats, power: float, count: int) -> Floats:
        """Return the coefficients with the least n·log(RSS/n) + k·log n, k of them not zero."""
        best, least, worse = np.zeros_like(moments), math.inf, 0
        for beta in path(gram, moments, self.penalty, self._solve):
            squares = power - 2 * moments @ beta + beta @ gram @ beta
            if squares <= 1e-9 * power:  # all is explained; its logarithm is rounding
                return beta
            bic = count * math.log(squares) + math.log(count) * np.count_nonzero(beta)
            if bic < least:
                best, least, worse = beta, bic, 0
            elif (worse := worse + 1) == _WORSE:
                break
        return best


def path(gram: Floats, moments: Floats, penalty: PenaltyOf, solve: Solve) -> Iterator[Floats]:
    """Yield coefficients for each λ, from the largest; none if no feature helps.

    Each solution starts from the previous one, over the features that the strong rule keeps and those
    that it should have kept.

    Args:
        gram: XᵀX/n, [F, F].
        moments: Xᵀy/n, [F].
        penalty: made with λ.
        solve: a solver of `models.solvers`.
    """
    beta, slopes = np.zeros_like(moments), -moments
    previous = top = float(np.abs(moments).max())
    for rate in _RATES * top if top > 0 else ():
        keep = strong(slopes, rate, previous) | (beta != 0)
        while True:
            beta = _restricted(gram, moments, keep, beta, penalty(rate), solve, _TOLERANCE * top)
            slopes = gram @ beta - moments
            missed = ~keep & (np.abs(slopes) > rate)
            if not missed.any():
                break
            keep |= missed
        previous = rate
        yield beta


def _restricted(
    gram: Floats,
    moments: Floats,
    keep: NDArray[np.bool_],
    start: Floats,
    penalty: L1 | Mcp | Scad,
    solve: Solve,
    tolerance: float,
) -> Floats:
    """Return coefficients that are 0 except for those in `keep`."""
    part, some = gram[np.ix_(keep, keep)], moments[keep]
    result = np.zeros_like(moments)
    if keep.any():
        lipschitz = max(float(np.linalg.eigvalsh(part)[-1]), 0.0)
        result[keep] = solve(
            lambda beta: part @ beta - some,
            penalty,
            start[keep],
            lipschitz=lipschitz,
            tolerance=tolerance,
        ).beta
    return result
