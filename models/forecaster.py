"""The base class of forecasters: a module that maps a batch of windows to the next counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from data.windows import Windows
from models.batch import Batch
from models.config import ForecasterConfig
from models.errors import ModelError


class Forecaster(nn.Module):
    """A forecast of the next counts from recent counts, seasonal lags and calendar.

    Attributes:
        config: its shape.
        mean, scale: mean and standard deviation of each region's counts, [R], persons.
        step: root mean square of the steps between latest value and target, [R], persons.
    """

    mean: Tensor
    scale: Tensor
    step: Tensor

    def __init__(self, config: ForecasterConfig) -> None:
        super().__init__()
        self.config = config
        regions = len(config.regions)
        self.register_buffer("mean", torch.zeros(regions))
        self.register_buffer("scale", torch.ones(regions))
        self.register_buffer("step", torch.ones(regions))

    def forward(self, batch: Batch) -> Tensor:
        """Forecast counts from counts; not clipped, so that gradients pass below 0.

        Args:
            batch: B windows; the target is not read.

        Returns:
            Forecast, [B, H, R], persons.
        """
        raise NotImplementedError


def fit_scaler(model: Forecaster, windows: Windows) -> None:
    """Set mean, scale and typical step of each region from the training windows.

    Under privacy these windows must be noised already: the scaler is released with the model.

    Args:
        model: changed in place.
        windows: training windows, targets observed.

    Raises:
        ModelError: other regions, no windows, or a gap in the counts.
    """
    if windows.regions != model.config.regions:
        raise ModelError(
            f"the windows have regions={windows.regions}, "
            f"the model was built for {model.config.regions}"
        )
    steps = (windows.target - windows.last[:, None]).reshape(-1, len(windows.regions))
    if not len(windows) or not (np.isfinite(steps).all()):
        raise ModelError("the scaler needs training windows, all with an observed target")
    _set(model.mean, windows.last.mean(axis=0))
    _set(model.scale, _positive(windows.last.std(axis=0)))
    _set(model.step, _positive(np.sqrt(np.square(steps).mean(axis=0))))


def set_scaler(
    model: Forecaster, mean: Sequence[float], scale: Sequence[float], step: Sequence[float]
) -> None:
    """Set mean, scale and typical step of each region from public or charged figures.

    Args:
        model: changed in place.
        mean: [R], persons.
        scale: [R], persons, above 0.
        step: [R], persons, above 0.

    Raises:
        ModelError: not one figure per region, or a figure out of range.
    """
    for name, values, buffer in (
        ("mean", mean, model.mean),
        ("scale", scale, model.scale),
        ("step", step, model.step),
    ):
        figures = np.asarray(values, dtype=np.float64)
        if figures.shape != tuple(buffer.shape) or not np.isfinite(figures).all():
            raise ModelError(f"{name}={values} must be one finite figure for each region")
        if name != "mean" and not (figures > 0).all():
            raise ModelError(f"{name}={values} must be above 0")
        _set(buffer, figures)


def _set(buffer: Tensor, values: NDArray[np.float64]) -> None:
    buffer.copy_(torch.from_numpy(values))


def _positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace zeros by ones: a region that never changes is left unscaled."""
    return np.where(values > 0, values, 1.0)
