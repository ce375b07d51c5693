"""The forecaster: recent counts, seasonal lags and calendar in, the next counts out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from data.calendar import FEATURES
from data.windows import Windows
from models import nets
from models.device import seeded
from models.errors import ModelError


@dataclass(frozen=True, kw_only=True)
class ForecasterConfig:
    """Everything that fixes the shape of a forecaster.

    Attributes:
        model: a name in `models.nets.NAMES`.
        hidden: width of the hidden state, one direction.
        layers: recurrent layers.
        dropout: probability of dropping a value between layers and before the head, in [0, 1).
        linear_skip: whether a linear map of all inputs is added to the network's forecast.
        regions: names, R, in the order of the panel's columns.
        lags: L, latest intervals read one by one.
        seasonal: S, number of seasonal lags.
        horizon: H, intervals forecast.
        features: C, calendar features an interval.

    Raises:
        ModelError: a value is out of its range; the message names field, value and range.
    """

    model: str = "bigru"
    hidden: int = 64
    layers: int = 1
    dropout: float = 0.0
    linear_skip: bool = True
    regions: tuple[str, ...]
    lags: int
    seasonal: int = 0
    horizon: int = 1
    features: int = len(FEATURES)

    def __post_init__(self) -> None:
        if self.model not in nets.NAMES:
            raise ModelError(f"model={self.model!r} is unknown; choose one of {nets.NAMES}")
        for field in ("hidden", "layers", "lags", "horizon"):
            if getattr(self, field) < 1:
                raise ModelError(f"{field}={getattr(self, field)} must be at least 1")
        for field in ("seasonal", "features"):
            if getattr(self, field) < 0:
                raise ModelError(f"{field}={getattr(self, field)} must be 0 or more")
        if not 0 <= self.dropout < 1:
            raise ModelError(f"dropout={self.dropout} must be at least 0 and below 1")
        if not self.regions or len(set(self.regions)) != len(self.regions):
            raise ModelError(f"regions={self.regions} must be one or more different names")


class Forecaster(nn.Module):
    """Persistence plus a learned step.

    The step is measured from the latest value and in units of the typical step of each region, so
    an untrained forecaster (head and skip start at zero) is persistence. Recurrent network, head and
    skip are stock `nn.GRU`/`nn.LSTM` and `nn.Linear`: all parameters live in layers for which
    per-sample gradients are known.

    Attributes:
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
        self.net = nets.build(
            config.model,
            2 * regions + config.features,
            config.hidden,
            config.layers,
            config.dropout,
        )
        self.dropout = nn.Dropout(config.dropout)
        ahead = config.horizon * (config.seasonal * regions + config.features)
        self.head = _zero_linear(self.net.outputs + ahead, config.horizon * regions)
        self.skip = (
            _zero_linear(config.lags * regions + ahead, config.horizon * regions)
            if config.linear_skip
            else None
        )

    def forward(
        self, past: Tensor, past_calendar: Tensor, seasonal: Tensor, calendar: Tensor
    ) -> Tensor:
        """Forecast counts from counts; not clipped, so that gradients pass below 0.

        Args:
            past: latest counts, oldest first, [B, L, R], persons.
            past_calendar: calendar of those intervals, [B, L, C].
            seasonal: counts S offsets before each target, [B, S, H, R], persons.
            calendar: calendar of the target intervals, [B, H, C].

        Returns:
            Forecast, [B, H, R], persons.
        """
        last = past[:, -1]
        level = (past - self.mean) / self.scale
        moves = (past[:, 1:] - past[:, :-1]) / self.step
        first = torch.zeros_like(moves[:, :1]) if past.shape[1] > 1 else torch.zeros_like(level)
        sequence = torch.cat([level, torch.cat([first, moves], dim=1), past_calendar], dim=2)
        hidden = self.dropout(self.net(sequence))
        # seasonal values as steps from the latest one: what is left to forecast, without the level
        season = (seasonal - last[:, None, None]) / self.scale
        ahead = torch.cat([season.flatten(1), calendar.flatten(1)], dim=1)
        steps = self.head(torch.cat([hidden, ahead], dim=1))
        if self.skip is not None:
            steps = steps + self.skip(torch.cat([level.flatten(1), ahead], dim=1))
        steps = steps.unflatten(1, (self.config.horizon, len(self.config.regions)))
        forecast: Tensor = last[:, None] + steps * self.step
        return forecast


def new(config: ForecasterConfig, seed: int) -> Forecaster:
    """A forecaster whose initial weights depend on `seed` alone; global random numbers untouched."""
    with seeded(seed, torch.device("cpu")):
        return Forecaster(config)


def fit_scaler(model: Forecaster, windows: Windows) -> None:
    """Set mean, scale and typical step of each region from the training windows.

    Under privacy these windows must be noised already: the scaler is data that leaves with the model.

    Args:
        model: changed in place.
        windows: training windows, targets observed.

    Raises:
        ModelError: other regions, no windows, or a gap in what is measured.
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
    """Set mean, scale and typical step of each region from figures that are free to use.

    Args:
        model: changed in place.
        mean: [R], persons.
        scale: [R], persons, above 0.
        step: [R], persons, above 0.

    Raises:
        ModelError: not one figure a region, or one that is out of range.
    """
    for name, values, buffer in (
        ("mean", mean, model.mean),
        ("scale", scale, model.scale),
        ("step", step, model.step),
    ):
        found = np.asarray(values, dtype=np.float64)
        if found.shape != tuple(buffer.shape) or not np.isfinite(found).all():
            raise ModelError(f"{name}={values} must be one finite figure for each region")
        if name != "mean" and not (found > 0).all():
            raise ModelError(f"{name}={values} must be above 0")
        _set(buffer, found)


def _set(buffer: Tensor, values: NDArray[np.float64]) -> None:
    buffer.copy_(torch.from_numpy(values))


def _positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ones in place of zeros: a region that never changes is left unscaled."""
    return np.where(values > 0, values, 1.0)


def _zero_linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
