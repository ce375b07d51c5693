"""Attack: one window with extreme counts."""

from __future__ import annotations

import math

import torch

from dp.clipping import clipped_gradients
from flows.audit.attacks.attempt import Attempt
from models.batch import Batch
from models.config import ForecasterConfig
from models.forecaster import set_scaler
from models.forecasters import new
from models.training.losses import per_window

POISONS = (0.0, 1e6, 1e15, 1e20, 1e25, 1e38)
"""Counts that a person in the data may write into one interval."""
_CLIP, _WINDOWS, _REGIONS, _LAGS = 1.0, 6, 3, 4


def poison() -> Attempt:
    """Change all values of one window, and measure how far the clipped sum of a batch moves."""
    worst, by = 0.0, 0.0
    usual = _sum(None)
    for value in POISONS:
        moved = float((_sum(value) - usual).norm())
        if math.isnan(moved) or moved > worst:
            worst, by = moved if math.isfinite(moved) else math.inf, value
        if worst == math.inf:
            break
    most = 2 * _CLIP
    return Attempt(
        kind="poisoned window",
        tried=f"one window of {_WINDOWS} set to {', '.join(f'{value:g}' for value in POISONS)}",
        claimed=f"the clipped sum moves by {most:g} at most",
        found=f"it moves by {worst:.3g} (counts of {by:g})"
        if worst < math.inf
        else f"it is no number any more (counts of {by:g})",
        refutes=not worst <= most * (1 + 1e-5),
    )


def _sum(poisoned: float | None) -> torch.Tensor:
    """Return the clipped sum of gradients of a batch whose first window holds the given count."""
    names = tuple(f"region {number}" for number in range(_REGIONS))
    model = new(ForecasterConfig(model="gru", regions=names, lags=_LAGS, hidden=4), 0)
    set_scaler(model, (100.0,) * _REGIONS, (30.0,) * _REGIONS, (10.0,) * _REGIONS)
    draw = torch.Generator().manual_seed(0)
    config = model.config

    def counts(*shape: int) -> torch.Tensor:
        values = 100 + 30 * torch.randn(_WINDOWS, *shape, _REGIONS, generator=draw)
        if poisoned is not None:
            values[0] = poisoned
        return values

    batch = Batch(
        past=counts(config.lags),
        past_calendar=torch.zeros(_WINDOWS, config.lags, config.features),
        seasonal=counts(config.seasonal, config.horizon),
        seasonal_context=counts(config.seasonal, config.seasonal_context),
        seasonal_change=counts(config.seasonal_change, config.horizon),
        calendar=torch.zeros(_WINDOWS, config.horizon, config.features),
        target=counts(config.horizon),
    )
    loss = per_window("mse")
    clipped_gradients(model, lambda: loss(model, batch), _CLIP)
    return torch.cat(
        [weights.grad.flatten() for weights in model.parameters() if weights.grad is not None]
    )
