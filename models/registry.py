"""The registry of forecasters. To add one: a file with a class, and a line here.

Classes are named, not imported: configurations, optimizers and recipes read this table, and the
classes import them.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Registration:
    """One forecaster.

    Attributes:
        place: of its class, `module:name`.
        network: whether it is trained by gradients, with an optimizer of `models.optimizers`.
        solvers: names in `models.solvers` that fit it, default first; empty without a choice.
    """

    place: str
    network: bool = False
    solvers: tuple[str, ...] = ()


BLEND = "blend"
_RECURRENT = Registration("models.nets.recurrent:Network", network=True)

FORECASTERS: dict[str, Registration] = {
    "lstm": _RECURRENT,
    "gru": _RECURRENT,
    "bilstm": _RECURRENT,
    "bigru": _RECURRENT,
    "ridge": Registration("models.tabular.ridge:Ridge"),
    "fourier": Registration("models.tabular.fourier:Fourier"),
    "trees": Registration("models.tabular.trees:Trees"),
    "poisson": Registration("models.heads.poisson:Poisson", solvers=("gns",)),
    "negbin": Registration("models.heads.poisson:NegBin", solvers=("gns",)),
    "sparse": Registration("models.heads.sparse:Sparse", solvers=("prox_cg", "accelerated")),
    BLEND: Registration("models.blend:Blend"),
}

NAMES = tuple(FORECASTERS)
NETWORKS = tuple(name for name, entry in FORECASTERS.items() if entry.network)
HEADS = {name: entry.solvers for name, entry in FORECASTERS.items() if entry.solvers}
"""Convex heads, each with the solvers that fit it, the default first."""


def class_of(name: str) -> Any:
    """Import the class of a registered forecaster."""
    module, _, attribute = FORECASTERS[name].place.partition(":")
    return getattr(import_module(module), attribute)
