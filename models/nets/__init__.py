"""Recurrent networks by name: each maps a sequence to a hidden state."""

from __future__ import annotations

from models.errors import ModelError
from models.nets.gru import Gru
from models.nets.lstm import Lstm
from models.registry import NETWORKS


def build(name: str, inputs: int, hidden: int, layers: int, dropout: float) -> Gru | Lstm:
    """Return the network called `name`, with torch's default initialisation.

    Args:
        name: one of `models.registry.NETWORKS`.
        inputs: F, values per interval.
        hidden: width of the hidden state, per direction.
        layers: recurrent layers on top of each other.
        dropout: probability of dropping a value between layers.

    Returns:
        Module that maps [B, L, F] to [B, hidden × directions].

    Raises:
        ModelError: no network has this name.
    """
    if name not in NETWORKS:
        raise ModelError(f"model={name!r} is unknown; choose one of {', '.join(NETWORKS)}")
    family = Gru if name.endswith("gru") else Lstm
    return family(inputs, hidden, layers, dropout, bidirectional=name.startswith("bi"))
