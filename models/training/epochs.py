"""One training run as a generator, driven by the caller that computes its gradients."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from models.batch import Batch
from models.errors import ModelError
from models.forecaster import Forecaster
from models.metrics import rmse
from models.predict import forecast
from models.training import observers as observing
from models.training.config import TrainingConfig
from models.training.observers import Observe
from models.training.updates import Updates


@dataclass(frozen=True)
class Epoch:
    """One pass over the training windows.

    Attributes:
        number: counted from 1.
        loss: mean training loss, in squared (`mse`) or plain (`mae`, `huber`) units of `model.step`;
            None in a private training, which publishes none.
        validation: mean over the regions of the RMSE in persons; None without validation.
        seconds: wall time of the epoch, validation included; for runs that are trained together, of
            all of them.
    """

    number: int
    loss: float | None
    validation: float | None
    seconds: float


@dataclass(frozen=True)
class History:
    """The course of a training run.

    Attributes:
        epochs: in order.
        best: number of the epoch whose weights were kept.
        stopped_early: whether patience ran out before the last epoch.
        observed: results of the observers by their names.
    """

    epochs: tuple[Epoch, ...]
    best: int
    stopped_early: bool
    observed: Mapping[str, object] = field(default_factory=dict)


def run(
    model: Forecaster,
    optimizer: Optimizer,
    validation: Batch | None,
    config: TrainingConfig,
    updates: Updates,
    on_epoch: Callable[[Epoch], None] | None,
    observers: Sequence[Observe] = (),
) -> Generator[Tensor, Tensor | None, History]:
    """Run schedule, weight average and validation, and keep the best epoch; all on one device.

    Yields:
        Positions of the windows of an update, [B]; B may be 0. After the update, the result of
        `Updates.step` must be sent back; the loss of no windows is ignored.

    Raises:
        ModelError: the loss is not finite or, if it is not revealed, the weights are not.
    """
    total = config.epochs * updates.steps_per_epoch
    schedule = LambdaLR(optimizer, lambda done: _rate(config.schedule, done / total))
    average = None if config.average is None else _Average(model, config.average)
    scored = model if average is None else average.model
    batches = updates.batches()
    watching = observing.start(observers, model)
    epochs: list[Epoch] = []
    best, weights = 0, _weights(scored)
    for number in range(1, config.epochs + 1):
        started = time.perf_counter()
        model.train()
        total_loss: Tensor | None = None
        windows = 0
        for rows in islice(batches, updates.steps_per_epoch):
            mean = yield rows
            schedule.step()
            for observer in watching:
                observer()
            if average is not None:
                average.update(model)
            if mean is not None and len(rows):
                part = mean * len(rows)
                total_loss = part if total_loss is None else total_loss + part
                windows += len(rows)
        loss = None if total_loss is None else float(total_loss) / windows
        # without a loss the weights are checked: they are released anyway
        if not (_finite(model) if loss is None else math.isfinite(loss)):
            figure, verb = ("weights", "are") if loss is None else ("loss", "is")
            raise ModelError(
                f"the {figure} of epoch {number} {verb} not finite; lower learning_rate="
                f"{config.learning_rate} or grad_norm={config.grad_norm}"
            )
        score = None if validation is None else _score(scored, validation)
        seconds = time.perf_counter() - started
        epochs.append(Epoch(number, loss, score, seconds))
        if on_epoch is not None:
            on_epoch(epochs[-1])
        if score is None:
            best = number
        elif not best or score < (epochs[best - 1].validation or 0.0):
            best, weights = number, _weights(scored)
        elif config.patience is not None and number - best >= config.patience:
            break
    model.load_state_dict(weights if validation is not None else _weights(scored))
    return History(tuple(epochs), best, len(epochs) < config.epochs, observing.results(watching))


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
        """Add the latest weights to the average; the first ones are copied."""
        weight = 1.0 if self._empty else 1 - self._decay
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), weight)
        for buffer, latest in zip(self.model.buffers(), model.buffers(), strict=True):
            buffer.copy_(latest)  # running statistics are averages already
        self._empty = False


def _rate(schedule: str, done: float) -> float:
    """Return the factor on the learning rate after a share `done` of all updates."""
    return 0.5 * (1 + math.cos(math.pi * done)) if schedule == "cosine" else 1.0


def _score(model: Forecaster, validation: Batch) -> float:
    """Return the mean over the regions of the validation RMSE, in persons."""
    target = validation.target.cpu().double().numpy()
    return rmse(forecast(model, validation), target, model.config.regions).mean


def _finite(model: Forecaster) -> bool:
    return all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())


def _weights(model: Forecaster) -> dict[str, Tensor]:
    """Copy the weights, so that further training does not change them."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
