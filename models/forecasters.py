"""Construction and fitting of forecasters by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from data.windows import Windows
from models.blend import Blend
from models.config import ForecasterConfig
from models.device import seeded
from models.forecaster import Forecaster, fit_scaler
from models.registry import BLEND, FORECASTERS, class_of
from models.tabular.base import Tabular
from models.training.config import TrainingConfig
from models.training.observers import Observe
from models.training.train import Epoch, History, train


def new(config: ForecasterConfig, seed: int, *, solver: str | None = None) -> Forecaster:
    """Return a forecaster whose initial weights depend on `seed` alone; global generators are untouched.

    Args:
        config: its shape.
        seed: of all random numbers.
        solver: of a convex head; None for its default.
    """
    make, entry = class_of(config.model), FORECASTERS[config.model]
    model: Forecaster
    if entry.network:
        with seeded(seed, torch.device("cpu")):
            model = make(config)
    elif config.model == BLEND:
        model = make(config, seed, new)
    elif entry.solvers:
        model = make(config, seed, solver=solver)
    else:
        model = make(config, seed)
    return model


def fit(
    model: Forecaster,
    windows: Windows,
    validation: Windows | None,
    config: TrainingConfig,
    *,
    on_epoch: Callable[[Epoch], None] | None = None,
    observers: Sequence[Observe] = (),
) -> History:
    """Fit any forecaster in place, its scaler included.

    Args:
        model: from `new`.
        windows: training windows, all targets observed; under privacy noised already.
        validation: windows that decide which epoch of a network is kept, or None.
        config: how networks are trained; a blend's networks differ in their seeds.
        on_epoch: called after every epoch of every network.
        observers: observers of the training of a network; those of a blend are not observed.

    Raises:
        ModelError: the windows do not fit the model.
    """
    if isinstance(model, Tabular):
        model.fit(windows)
        return History((), 0, stopped_early=False)
    fit_scaler(model, windows)
    if not isinstance(model, Blend):
        return train(model, windows, validation, config, on_epoch=on_epoch, observers=observers)
    epochs: list[Epoch] = []

    def renumber(epoch: Epoch) -> None:
        epochs.append(replace(epoch, number=len(epochs) + 1))
        if on_epoch is not None:
            on_epoch(epochs[-1])

    for members in model.groups:
        for copy, member in enumerate(members):
            own = replace(config, seed=config.seed + 1000 * copy)
            fit(member, windows, validation, own, on_epoch=renumber)
    return History(tuple(epochs), len(epochs), stopped_early=False)
