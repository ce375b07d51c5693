"""Which layers are known, and how a stock recurrent module is run through them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dp.clipping.gru import Gru
from dp.clipping.layernorm import layer_norm
from dp.clipping.linear import linear
from dp.clipping.lstm import Lstm
from dp.clipping.recurrent import Direction
from dp.clipping.tape import Tape

Forward = Callable[..., Any]


def gru(module: nn.GRU, tape: Tape, anchor: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """What `nn.GRU` returns: states [B, T, D·H] (or time first) and last states [layers·D, B, H]."""
    along, last = _stack(module, Gru, tape, anchor, inputs)
    return along, torch.stack([hidden for (hidden,) in last])


def lstm(
    module: nn.LSTM, tape: Tape, anchor: Tensor, inputs: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """What `nn.LSTM` returns: states, and last states and cells, [layers·D, B, H] each."""
    along, last = _stack(module, Lstm, tape, anchor, inputs)
    return along, (
        torch.stack([hidden for hidden, _ in last]),
        torch.stack([cell for _, cell in last]),
    )


FORWARDS: dict[type[nn.Module], Forward] = {
    nn.Linear: linear,
    nn.LayerNorm: layer_norm,
    nn.GRU: gru,
    nn.LSTM: lstm,
}
"""Forward passes that note on a tape what per-sample gradients need, by the layer's exact type."""


def _stack(
    module: nn.RNNBase, cell: type[Any], tape: Tape, anchor: Tensor, inputs: Tensor
) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
    """All layers and directions: states of the top layer, and what each direction ended with."""
    sequence = inputs.transpose(0, 1).contiguous() if module.batch_first else inputs
    ends: list[tuple[Tensor, ...]] = []
    for layer in range(module.num_layers):
        if layer and module.dropout:
            sequence = functional.dropout(sequence, module.dropout, module.training)
        parts = []
        for direction in _directions(module, layer):
            along, *end = cell.apply(sequence, anchor, direction, tape)
            parts.append(along)
            ends.append(tuple(end))
        sequence = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
    return sequence.transpose(0, 1) if module.batch_first else sequence, ends


def _directions(module: nn.RNNBase, layer: int) -> list[Direction]:
    """The parameters of one layer, direction by direction."""
    found = []
    for reverse in (False, True)[: 2 if module.bidirectional else 1]:
        suffix = f"l{layer}{'_reverse' if reverse else ''}"
        found.append(
            Direction(
                weight_ih=getattr(module, f"weight_ih_{suffix}"),
                weight_hh=getattr(module, f"weight_hh_{suffix}"),
                bias_ih=getattr(module, f"bias_ih_{suffix}", None),
                bias_hh=getattr(module, f"bias_hh_{suffix}", None),
                reverse=reverse,
                name=f"{id(module)} {suffix}",
            )
        )
    return found
