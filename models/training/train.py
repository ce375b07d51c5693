"""The training loop: fits a forecaster to windows, and keeps the best epoch on validation windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from data.windows import Windows
from models import optimizers
from models.batch import Batch, check_inputs, check_target, to_device
from models.device import pick_device, seeded
from models.forecaster import Forecaster
from models.training.config import TrainingConfig
from models.training.epochs import Epoch, History, run
from models.training.losses import per_window
from models.training.observers import Observe
from models.training.updates import PlainUpdates, Updates

__all__ = [
    "Epoch",
    "History",
    "PlainUpdates",
    "TrainingConfig",
    "Updates",
    "check_training",
    "pick_device",
    "train",
]


def train(
    model: Forecaster,
    train: Windows,
    validation: Windows | None,
    config: TrainingConfig,
    *,
    on_epoch: Callable[[Epoch], None] | None = None,
    updates: Updates | None = None,
    second_moment: Tensor | None = None,
    observers: Sequence[Observe] = (),
) -> History:
    """Fit `model` in place; it stays on its device, and ends in evaluation mode.

    The same seed, windows and thread count give bit-equal weights on a CPU; torch's global random
    numbers are left as they were. With validation windows the weights of the best epoch are kept.

    Args:
        model: a forecaster whose scaler is set (`fit_scaler`).
        train: training windows, all targets observed.
        validation: windows that end after the training targets, or None.
        config: how to train.
        on_epoch: called after every epoch.
        updates: batches and steps; by default those without privacy.
        second_moment: of the inputs of the network, from public or charged figures, [F, F]; for an
            optimizer that must not read the inputs of the batches.
        observers: observers of the run; their results are in the history.

    Raises:
        ModelError: windows do not fit the model, the device is missing, or the loss is not finite.
    """
    check_training(model, train, validation)
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
                observers,
            )
    finally:
        model.to(home).eval()


def check_training(model: Forecaster, train: Windows, validation: Windows | None) -> None:
    """Raise a ModelError unless windows can be trained on, and fit the model."""
    for windows, use in ((train, "training"), (validation, "validation")):
        if windows is not None:
            check_target(windows, use)
            check_inputs(windows, model.config)


def _fit(
    model: Forecaster,
    data: Batch,
    validation: Batch | None,
    config: TrainingConfig,
    on_epoch: Callable[[Epoch], None] | None,
    updates: Updates,
    public: optimizers.Public,
    observers: Sequence[Observe],
) -> History:
    """Drive a single run, one forward and backward pass per update."""
    optimizer = optimizers.build(
        config.optimizer,
        model,
        config.learning_rate,
        weight_decay=config.weight_decay,
        public=public,
    )
    active, loss = (
        run(model, optimizer, validation, config, updates, on_epoch, observers),
        per_window(config.loss),
    )
    try:
        rows = next(active)
        while True:
            rows = active.send(updates.step(model, optimizer, data.take(rows), loss))
    except StopIteration as done:
        history: History = done.value
        return history
