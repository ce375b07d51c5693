"""Training configuration, validated at construction."""

from __future__ import annotations

import math
from dataclasses import dataclass

from models import optimizers
from models.device import DEVICES
from models.errors import ModelError
from models.training import losses

SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of the training loop.

    Attributes:
        optimizer: a name in `models.optimizers.NAMES`.
        learning_rate: of the first update, above 0.
        batch_size: windows per update.
        base_batch: windows per update of the regime that learning rate and epochs were tuned for; None
            if that is `batch_size` (`models.training.batch_scaling`).
        epochs: passes over the training windows, at most.
        grad_norm: L2 norm to which the gradient of a batch is clipped, above 0; `inf` clips nothing.
            Under gradient perturbation, the norm to which the gradient of each window is clipped.
        patience: number of epochs without a better validation RMSE after which to stop; None never
            stops.
        weight_decay: as defined by the optimizer, 0 or more.
        seed: of the batch order and of dropout.
        device: `auto`, `cpu`, `cuda` or `mps`.
        loss: `mse`, `mae` or `huber`.
        average: decay of an exponential average of the weights, in (0, 1), which replaces the last
            weights; None keeps the last.
        schedule: `constant`, or `cosine` to fall to 0 by the last epoch (Loshchilov and Hutter 2017).

    Raises:
        ModelError: a value is out of its range; the message names field, value and range.
    """

    optimizer: str = "adam"
    learning_rate: float = 1e-3
    batch_size: int = 64
    base_batch: int | None = None
    epochs: int = 20
    grad_norm: float = 1.0
    patience: int | None = None
    weight_decay: float = 0.0
    seed: int = 0
    device: str = "auto"
    loss: str = "mse"
    schedule: str = "cosine"
    average: float | None = None

    def __post_init__(self) -> None:
        optimizers.check_name(self.optimizer)
        for field, names in (
            ("device", DEVICES),
            ("loss", tuple(losses.NAMES)),
            ("schedule", SCHEDULES),
        ):
            if getattr(self, field) not in names:
                raise ModelError(
                    f"{field}={getattr(self, field)!r} is unknown; choose one of {', '.join(names)}"
                )
        for field in ("batch_size", "base_batch", "epochs", "patience"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise ModelError(f"{field}={value} must be at least 1")
        if not 0 < self.learning_rate < math.inf:
            raise ModelError(f"learning_rate={self.learning_rate} must be above 0 and finite")
        if not self.grad_norm > 0:
            raise ModelError(f"grad_norm={self.grad_norm} must be above 0")
        if self.average is not None and not 0 < self.average < 1:
            raise ModelError(f"average={self.average} must be above 0 and below 1")
        for field in ("weight_decay", "seed"):
            value = getattr(self, field)
            if not 0 <= value < math.inf:
                raise ModelError(f"{field}={value} must be 0 or more")
