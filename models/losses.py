"""Training losses, one value a window, in units of the model's `step`."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from models.errors import ModelError
from models.forecaster import Forecaster
from models.tensors import Batch

NAMES: dict[str, Callable[..., Tensor]] = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": functional.huber_loss,
}

Loss = Callable[[Forecaster, Batch], Tensor]


def per_window(name: str) -> Loss:
    """The loss called `name`: model and batch to the mean over horizon and regions, [B].

    Forecast and target are divided by `model.step` first, so that each region weighs the same and
    the learning rate does not depend on how busy the regions are.

    Raises:
        ModelError: no loss has this name.
    """
    if name not in NAMES:
        raise ModelError(f"loss={name!r} is unknown; choose one of {', '.join(NAMES)}")
    measure = NAMES[name]

    def loss(model: Forecaster, batch: Batch) -> Tensor:
        forecast = model(batch)
        scaled, wanted = forecast / model.step, batch.target / model.step
        return measure(scaled, wanted, reduction="none").mean(dim=(1, 2))

    return loss
