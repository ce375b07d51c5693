"""Training losses: one value per window, in units of the `step` of the model."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from models.batch import Batch
from models.errors import ModelError
from models.forecaster import Forecaster

NAMES: dict[str, Callable[..., Tensor]] = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": functional.huber_loss,
}

Loss = Callable[[Forecaster, Batch], Tensor]
Measure = Callable[[Tensor, Tensor, Tensor], Tensor]


def measure(name: str) -> Measure:
    """Return the loss called `name`: a map of forecast and target, [..., H, R], and `step` to [...].

    Forecast and target are divided by `step` first, so all regions have the same weight and the learning
    rate does not depend on how busy they are.

    Raises:
        ModelError: no loss has this name.
    """
    if name not in NAMES:
        raise ModelError(f"loss={name!r} is unknown; choose one of {', '.join(NAMES)}")
    each = NAMES[name]

    def of(forecast: Tensor, target: Tensor, step: Tensor) -> Tensor:
        return each(forecast / step, target / step, reduction="none").mean(dim=(-2, -1))

    return of


def per_window(name: str) -> Loss:
    """Return the loss called `name`: a map of model and batch to means over horizon and regions, [B]."""
    of = measure(name)

    def loss(model: Forecaster, batch: Batch) -> Tensor:
        return of(model(batch), batch.target, model.step)

    return loss
