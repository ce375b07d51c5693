"""One plain loop: fit a forecaster to windows, watch a validation period, keep the best epoch."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from data.windows import Windows
from models import optimizers
from models.device import pick_device, seeded
from models.distance import LogFit, WeightDistance, fit_log
from models.errors import ModelError
from models.forecaster import Forecaster
from models.losses import Loss, per_window
from models.metrics import rmse
from models.predict import forecast
from models.settings import TrainingConfig
from models.tensors import Batch, check_inputs, check_target, to_device

__all__ = [
    "Epoch",
    "History",
    "PlainUpdates",
    "TrainingConfig",
    "Updates",
    "pick_device",
    "train",
]


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
        distance: how far the weights moved, against the logarithm of the updates; None where there
            were fewer than two.
    """

    epochs: tuple[Epoch, ...]
    best: int
    stopped_early: bool
    distance: LogFit | None = None


class Updates(Protocol):
    """Batches and steps of one run; the place where private training differs from plain training."""

    @property
    def steps_per_epoch(self) -> int:
        """Updates in an epoch."""

    @property
    def noise_variance(self) -> float | None:
        """Of the noise on each coordinate of the mean gradient; None where there is none."""

    def batches(self) -> Iterator[Tensor]:
        """Positions of the windows of each update, epochs × steps_per_epoch times; may be empty."""

    def step(self, model: Forecaster, optimizer: Optimizer, batch: Batch, loss: Loss) -> Tensor:
        """Update the weights once and return the mean loss, [].

        Args:
            model: in training mode, on the batch's device.
            optimizer: over the model's parameters.
            batch: B windows.
            loss: maps model and batch to one loss a window, [B].
        """


@dataclass(frozen=True)
class PlainUpdates:
    """Updates without privacy: shuffled batches, gradient norm of the mean loss clipped.

    Attributes:
        windows: how many there are.
        config: how to train.
    """

    windows: int
    config: TrainingConfig

    @property
    def steps_per_epoch(self) -> int:
        """Updates in an epoch; the last batch is smaller."""
        return math.ceil(self.windows / self.config.batch_size)

    @property
    def noise_variance(self) -> None:
        """Gradients are not noised."""
        return None

    def batches(self) -> Iterator[Tensor]:
        """All windows in a new order each epoch."""
        order = torch.Generator().manual_seed(self.config.seed)
        for _ in range(self.config.epochs):
            yield from torch.split(
                torch.randperm(self.windows, generator=order), self.config.batch_size
            )

    def step(self, model: Forecaster, optimizer: Optimizer, batch: Batch, loss: Loss) -> Tensor:
        """One update with the mean gradient of the batch."""
        optimizer.zero_grad(set_to_none=True)
        mean = loss(model, batch).mean()
        mean.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), self.config.grad_norm)
        optimizer.step()
        return mean.detach()


def train(
    model: Forecaster,
    train: Windows,
    validation: Windows | None,
    config: TrainingConfig,
    *,
    on_epoch: Callable[[Epoch], None] | None = None,
    updates: Updates | None = None,
    second_moment: Tensor | None = None,
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
        updates: batches and steps; by default those without privacy.
        second_moment: of the network's inputs, from figures that are free to use, [F, F]; for an
            optimizer that may not look at those of the batches.

    Raises:
        ModelError: windows do not fit the model, the device is missing, or the loss is not finite.
    """
    for windows, use in ((train, "training"), (validation, "validation")):
        if windows is not None:
            check_target(windows, use)
            check_inputs(windows, model.config)
    device, home = pick_device(config.device), model.mean.device
    updates = PlainUpdates(len(train), config) if updates is None else updates
    model.to(device)
    try:
        with seeded(config.seed, device):
            return _fit(
                model,
                to_device(train, device),
                None if validation is None else to_device(validation, device),
                config,
                on_epoch,
                updates,
                optimizers.Public(updates.noise_variance, second_moment),
            )
    finally:
        model.to(home).eval()


def _fit(
    model: Forecaster,
    data: Batch,
    validation: Batch | None,
    config: TrainingConfig,
    on_epoch: Callable[[Epoch], None] | None,
    updates: Updates,
    public: optimizers.Public,
) -> History:
    """The loop itself, everything on one device."""
    optimizer = optimizers.build(
        config.optimizer,
        model,
        config.learning_rate,
        weight_decay=config.weight_decay,
        public=public,
    )
    total = config.epochs * updates.steps_per_epoch
    schedule = LambdaLR(optimizer, lambda done: _rate(config.schedule, done / total))
    average = None if config.average is None else _Average(model, config.average)
    judged = model if average is None else average.model
    batches, loss = updates.batches(), per_window(config.loss)
    moved = WeightDistance(model.parameters())
    epochs: list[Epoch] = []
    best, kept = 0, _weights(judged)
    for number in range(1, config.epochs + 1):
        started = time.perf_counter()
        model.train()
        lost, seen = torch.zeros((), device=data.past.device), 0
        for rows in islice(batches, updates.steps_per_epoch):
            mean = updates.step(model, optimizer, data.take(rows), loss)
            schedule.step()
            moved()
            if average is not None:
                average.update(model)
            if len(rows):
                lost, seen = lost + mean * len(rows), seen + len(rows)
        if seen and not math.isfinite(float(lost)):
            raise ModelError(
                f"the loss of epoch {number} is not finite; lower learning_rate="
                f"{config.learning_rate} or grad_norm={config.grad_norm}"
            )
        score = None if validation is None else _score(judged, validation)
        seconds = time.perf_counter() - started
        epochs.append(Epoch(number, float(lost) / seen if seen else 0.0, score, seconds))
        if on_epoch is not None:
            on_epoch(epochs[-1])
        if score is None:
            best = number
        elif not best or score < (epochs[best - 1].validation or 0.0):
            best, kept = number, _weights(judged)
        elif config.patience is not None and number - best >= config.patience:
            break
    model.load_state_dict(kept if validation is not None else _weights(judged))
    return History(tuple(epochs), best, len(epochs) < config.epochs, _fitted(moved))


def _fitted(moved: WeightDistance) -> LogFit | None:
    curve = moved.curve()
    return fit_log(curve.updates, curve.distances) if len(curve.updates) > 1 else None


class _Average:
    """Exponential average of the iterates (Polyak and Juditsky 1992); free under privacy.

    Attributes:
        model: the averaged forecaster.
    """

    def __init__(self, model: Forecaster, decay: float) -> None:
        self.model = copy.deepcopy(model)
        self._decay, self._empty = decay, True

    @torch.no_grad()
    def update(self, model: Forecaster) -> None:
        """Take the latest weights in; the first ones as they are."""
        weight = 1.0 if self._empty else 1 - self._decay
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), weight)
        for kept, latest in zip(self.model.buffers(), model.buffers(), strict=True):
            kept.copy_(latest)  # running statistics are averages already
        self._empty = False


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
