"""Configuration of a forecaster: its shape, validated at construction."""

from __future__ import annotations

from dataclasses import dataclass

from data.calendar import FEATURES
from models.errors import ModelError
from models.registry import BLEND, NAMES

MEMBERS = ("trees", "fourier")
"""Default members of a blend, chosen on folds: see docs/forecasters.md."""


@dataclass(frozen=True, kw_only=True)
class ForecasterConfig:
    """Everything that fixes the shape of a forecaster.

    Attributes:
        model: a name in `models.registry.NAMES`.
        hidden: width of the hidden state, per direction.
        layers: recurrent layers.
        dropout: probability of dropping a value between layers and before the head, in [0, 1).
        linear_skip: whether a linear map of all inputs is added to the network's forecast.
        regions: names, R, in the order of the panel's columns.
        lags: L, number of latest intervals that are read.
        seasonal: S, number of seasonal lags.
        seasonal_context: A, number of intervals read just before each seasonal lag.
        seasonal_change: U, number of averages of the change in past seasons.
        horizon: H, intervals forecast.
        features: C, calendar features per interval.
        members: names of the members of a `blend`, which forecasts their mean.
        copies: number of networks of each name in a blend, each with its own initial weights.
        ghost: windows per ghost batch, which normalises the hidden state in training by its mean and
            variance; None for no normalisation.

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
    seasonal_context: int = 0
    seasonal_change: int = 0
    horizon: int = 1
    features: int = len(FEATURES)
    members: tuple[str, ...] = MEMBERS
    copies: int = 2
    ghost: int | None = None

    def __post_init__(self) -> None:
        if self.model not in NAMES:
            known = ", ".join(NAMES)
            raise ModelError(f"model={self.model!r} is unknown; choose one of {known}")
        unknown = [name for name in self.members if name not in NAMES or name == BLEND]
        if unknown or not self.members:
            raise ModelError(f"members={self.members} must be one or more of {NAMES[:-1]}")
        for field in ("hidden", "layers", "lags", "horizon", "copies"):
            if getattr(self, field) < 1:
                raise ModelError(f"{field}={getattr(self, field)} must be at least 1")
        for field in ("seasonal", "seasonal_context", "seasonal_change", "features"):
            if getattr(self, field) < 0:
                raise ModelError(f"{field}={getattr(self, field)} must be 0 or more")
        if self.ghost is not None and self.ghost < 2:
            raise ModelError(f"ghost={self.ghost} must be at least 2, or left out")
        if not 0 <= self.dropout < 1:
            raise ModelError(f"dropout={self.dropout} must be at least 0 and below 1")
        if not self.regions or len(set(self.regions)) != len(self.regions):
            raise ModelError(f"regions={self.regions} must be one or more different names")
