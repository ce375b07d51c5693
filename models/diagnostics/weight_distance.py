"""Weight distance: ‖w_t − w_0‖ against log t.

Hoffer, Hubara and Soudry 2017 (arXiv:1705.08741) find that the distance grows with the
logarithm of the number of updates t, as for a random walk on a random potential, and that large
batches end closer to the start because they make fewer updates: regimes are compared at equal t, and
a good one has the slope of the small batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.errors import ModelError
from models.forecaster import Forecaster

PER_DECADE = 50
"""Updates measured per factor of ten of t, equally many everywhere, so the fit weighs them equally."""


@dataclass(frozen=True)
class DistanceCurve:
    """Distance of the weights from the initial ones.

    Attributes:
        updates: t, numbers of updates made, from 1, increasing, [N].
        distances: ‖w_t − w_0‖, L2 over all parameters, [N].
    """

    updates: tuple[int, ...]
    distances: tuple[float, ...]


@dataclass(frozen=True)
class LogFit:
    """Least squares of distance on log t.

    Attributes:
        slope: distance gained while t grows by a factor e.
        intercept: fitted distance at t = 1.
        r2: share of the variance explained, at most 1; None where all distances are the same.
        points: N, number of distances fitted.
    """

    slope: float
    intercept: float
    r2: float | None
    points: int


class WeightDistance:
    """Observer of the distance while a model trains; called after each update.

    Only about `PER_DECADE` updates per factor of ten are measured, and each distance stays a tensor on
    the device of the weights: nothing waits for the device before `curve`. Under privacy the weights
    after each update are noised already, so their distance is free; under `none` it is a figure of raw
    data.

    Args:
        parameters: as they are at the start, on the device they are trained on.

    Raises:
        ModelError: there are no parameters.
    """

    name = "weight_distance"

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._weights = list(parameters)
        if not self._weights:
            raise ModelError("there are no parameters to measure; pass those that are trained")
        self._start = [_copy(weight) for weight in self._weights]
        self._done, self._next = 0, 1
        self._updates: list[int] = []
        self._distances: list[Tensor] = []

    @classmethod
    def of(cls, model: Forecaster) -> WeightDistance:
        """Start to observe all parameters of a model."""
        return cls(model.parameters())

    @torch.no_grad()
    def __call__(self) -> None:
        """Note that one more update was made."""
        self._done += 1
        if self._done < self._next:
            return
        self._next = max(self._done + 1, math.ceil(self._done * 10 ** (1 / PER_DECADE)))
        moved = [
            weight.to(start.dtype) - start
            for weight, start in zip(self._weights, self._start, strict=True)
        ]
        self._updates.append(self._done)
        self._distances.append(torch.nn.utils.get_total_norm(moved))

    def curve(self) -> DistanceCurve:
        """Return the distances measured so far; waits for the device once."""
        distances = torch.stack(self._distances).tolist() if self._distances else []
        return DistanceCurve(tuple(self._updates), tuple(distances))

    def result(self) -> LogFit | None:
        """Return the line through the measured distances; None after fewer than two updates."""
        curve = self.curve()
        return fit_log(curve.updates, curve.distances) if len(curve.updates) > 1 else None


def fit_log(updates: Sequence[int], distances: Sequence[float]) -> LogFit:
    """Fit distance = intercept + slope · log t by least squares.

    Args:
        updates: t, 1 or more, at least two different ones, [N].
        distances: finite, [N].

    Raises:
        ModelError: lengths differ, too few points, or a value is out of its range.
    """
    if len(updates) != len(distances):
        raise ModelError(f"{len(updates)} updates and {len(distances)} distances must be as many")
    if len(set(updates)) < 2:
        raise ModelError(f"{len(set(updates))} different updates are too few for a line; train on")
    if min(updates) < 1:
        raise ModelError(f"updates={min(updates)} must be at least 1: the logarithm starts there")
    measured = np.asarray(distances, dtype=np.float64)
    if not np.isfinite(measured).all():
        raise ModelError("a distance is not finite: training diverged; lower learning_rate")
    logs = np.log(np.asarray(updates, dtype=np.float64))
    away, above = logs - logs.mean(), measured - measured.mean()
    slope = float(away @ above / (away @ away))
    left = above - slope * away
    total = float(above @ above) if np.ptp(measured) else 0.0  # without the rounding of the mean
    return LogFit(
        slope=slope,
        intercept=float(measured.mean() - slope * logs.mean()),
        r2=1 - float(left @ left) / total if total else None,
        points=len(measured),
    )


def _copy(weight: Tensor) -> Tensor:
    """Copy the weight, in single precision at least: small moves vanish in half precision."""
    return weight.detach().to(torch.promote_types(weight.dtype, torch.float32), copy=True)
