"""Forecasters by name: made, and fitted, all in one way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from data.windows import Windows
from models import nets
from models.blend import Blend
from models.config import BLEND, ForecasterConfig
from models.device import seeded
from models.forecaster import Forecaster, fit_scaler
from models.network import Network
from models.settings import TrainingConfig
from models.tabular.base import Tabular
from models.tabular.fourier import Fourier
from models.tabular.poisson import NegBin, Poisson
from models.tabular.ridge import Ridge
from models.tabular.sparse import Sparse
from models.tabular.trees import Trees
from models.training import Epoch, History, train

_CLOSED: dict[str, type[Tabular]] = {"ridge": Ridge, "fourier": Fourier, "trees": Trees}
_HEADS: dict[str, Callable[..., Tabular]] = {"poisson": Poisson, "negbin": NegBin, "sparse": Sparse}


def new(config: ForecasterConfig, seed: int, *, solver: str | None = None) -> Forecaster:
    """A forecaster whose initial weights depend on `seed` alone; global random numbers untouched.

    Args:
        config: its shape.
        seed: of whatever is drawn.
        solver: of a convex head, where it is not the usual one.
    """
    if config.model == BLEND:
        return Blend(config, seed, new)
    if config.model in _HEADS:
        return _HEADS[config.model](config, seed, solver=solver)
    if config.model in nets.NAMES:
        with seeded(seed, torch.device("cpu")):
            return Network(config)
    return _CLOSED[config.model](config, seed)


def fit(
    model: Forecaster,
    windows: Windows,
    validation: Windows | None,
    config: TrainingConfig,
    *,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> History:
    """Fit any forecaster in place, its scaler included.

    Args:
        model: from `new`.
        windows: training windows, all targets observed; under privacy noised already.
        validation: windows that decide which epoch of a network is kept, or None.
        config: how networks are trained; a blend's networks differ in their seeds.
        on_epoch: called after every epoch of every network.

    Raises:
        ModelError: the windows do not fit the model.
    """
    if isinstance(model, Tabular):
        model.fit(windows)
        return History((), 0, stopped_early=False)
    fit_scaler(model, windows)
    if not isinstance(model, Blend):
        return train(model, windows, validation, config, on_epoch=on_epoch)
    epochs: list[Epoch] = []

    def count(epoch: Epoch) -> None:
        epochs.append(replace(epoch, number=len(epochs) + 1))
        if on_epoch is not None:
            on_epoch(epochs[-1])

    for members in model.groups:
        for copy, member in enumerate(members):
            own = replace(config, seed=config.seed + 1000 * copy)
            fit(member, windows, validation, own, on_epoch=count)
    return History(tuple(epochs), len(epochs), stopped_early=False)
