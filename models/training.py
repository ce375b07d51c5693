"""One plain loop: fit a forecaster to windows, watch a validation period, keep the best epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from data.windows import Windows
from models import optimizers
from models.device import pick_device, seeded
from models.errors import ModelError
from models.forecaster import Forecaster, new
from models.losses import Loss, per_window
from models.metrics import rmse
from models.predict import forecast
from models.settings import TrainingConfig
from models.tensors import Batch, check_inputs, check_target, to_device

__all__ = ["Epoch", "History", "Step", "TrainingConfig", "new", "pick_device", "train"]


@dataclass(frozen=True)
class Epoch:
    """One pass over the training windows.

    Attributes:
        number: counted from 1.
        loss: mean training loss, in squared (`mse`) or plain (`mae`, `huber`) units of `model.step`.
        validation: mean over the regions of the RMSE in persons; None without validation.
        seconds: wall time of the epoch, validation included.
    """

    number: int
    loss: float
    validation: float | None
    seconds: float


@dataclass(frozen=True)
class History:
    """What a training run went through.

    Attributes:
        epochs: in order.
        best: number of the epoch whose weights were kept.
        stopped_early: whether patience ran out before the last epoch.
    """

    epochs: tuple[Epoch, ...]
    best: int
    stopped_early: bool


class Step(Protocol):
    """One update of the weights; the place where private training differs from plain training."""

    def __call__(self, model: Forecaster, optimizer: Optimizer, batch: Batch, loss: Loss) -> Tensor:
        """Update the weights once and return the mean loss, [].

        Args:
            model: in training mode, on the batch's device.
            optimizer: over the model's parameters.
            batch: B windows.
            loss: maps model and batch to one loss a window, [B].
        """


def train(
    model: Forecaster,
    train: Windows,
    validation: Windows | None,
    config: TrainingConfig,
    *,
    on_epoch: Callable[[Epoch], None] | None = None,
    step: Step | None = None,
) -> History:
    """Fit `model` in place; it comes back on its device, in evaluation mode.

    The same seed, windows and thread count give bit-equal weights on a CPU; torch's global random
    numbers are left as they were. With validation windows the weights of the best epoch are kept.

    Args:
        model: a forecaster whose scaler is set (`fit_scaler`).
        train: training windows, all targets observed.
        validation: windows that end after the training targets, or None.
        config: how to train.
        on_epoch: called after every epoch.
        step: one update of the weights; by default a plain one that clips the gradient norm.

    Raises:
        ModelError: windows do not fit the model, the device is missing, or the loss is not finite.
    """
    for windows, use in ((train, "training"), (validation, "validation")):
        if windows is not None:
            check_target(windows, use)
            check_inputs(windows, model.config)
    device, home = pick_device(config.device), model.mean.device
    step = plain_step(config.grad_norm) if step is None else step
    model.to(device)
    try:
        with seeded(config.seed, device):
            return _fit(
                model,
                to_device(train, device),
                None if validation is None else to_device(validation, device),
                config,
                on_epoch,
                step,
            )
    finally:
        model.to(home).eval()


def plain_step(grad_norm: float) -> Step:
    """A step without privacy: mean loss, gradient norm clipped to `grad_norm`, one update."""

    def step(model: Forecaster, optimizer: Optimizer, batch: Batch, loss: Loss) -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        mean = loss(model, batch).mean()
        mean.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), grad_norm)
        optimizer.step()
        return mean.detach()

    return step


def _fit(
    model: Forecaster,
    data: Batch,
    validation: Batch | None,
    config: TrainingConfig,
    on_epoch: Callable[[Epoch], None] | None,
    step: Step,
) -> History:
    """The loop itself, everything on one device."""
    optimizer = optimizers.build(
        config.optimizer,
        model.parameters(),
        config.learning_rate,
        weight_decay=config.weight_decay,
    )
    updates = config.epochs * math.ceil(len(data) / config.batch_size)
    schedule = LambdaLR(optimizer, lambda done: _rate(config.schedule, done / updates))
    order = torch.Generator().manual_seed(config.seed)
    loss = per_window(config.loss)
    epochs: list[Epoch] = []
    best, kept = 0, _weights(model)
    for number in range(1, config.epochs + 1):
        started = time.perf_counter()
        model.train()
        total = torch.zeros((), device=data.past.device)
        for batch in data.batches(torch.randperm(len(data), generator=order), config.batch_size):
            total += step(model, optimizer, batch, loss) * len(batch)
            schedule.step()
        mean = float(total) / len(data)
        if not math.isfinite(mean):
            raise ModelError(
                f"the loss of epoch {number} is not finite; lower learning_rate="
                f"{config.learning_rate} or grad_norm={config.grad_norm}"
            )
        score = None if validation is None else _score(model, validation)
        epochs.append(Epoch(number, mean, score, time.perf_counter() - started))
        if on_epoch is not None:
            on_epoch(epochs[-1])
        if score is None:
            best = number
        elif not best or score < (epochs[best - 1].validation or 0.0):
            best, kept = number, _weights(model)
        elif config.patience is not None and number - best >= config.patience:
            break
    if validation is not None:
        model.load_state_dict(kept)
    return History(tuple(epochs), best, stopped_early=len(epochs) < config.epochs)


def _rate(schedule: str, done: float) -> float:
    """Factor on the learning rate after a share `done` of all updates."""
    return 0.5 * (1 + math.cos(math.pi * done)) if schedule == "cosine" else 1.0


def _score(model: Forecaster, validation: Batch) -> float:
    """Mean over the regions of the validation RMSE, in persons."""
    target = validation.target.cpu().double().numpy()
    return rmse(forecast(model, validation), target, model.config.regions).mean


def _weights(model: Forecaster) -> dict[str, Tensor]:
    """A copy of the weights that further training does not change."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
