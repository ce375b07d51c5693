"""The supported layers, and how a stock module of each is run once for all runs.

Values have a leading run axis, R; a module stands for the modules of the same name in R models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dp.clipping.gru import Gru
from dp.clipping.layernorm import layer_norm
from dp.clipping.linear import linear
from dp.clipping.lstm import Lstm
from dp.clipping.tape import Tape
from dp.clipping.unrolled import Layer

Forward = Callable[..., Any]


def gru(
    modules: Sequence[nn.GRU], tape: Tape, anchor: Tensor, inputs: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the output of `nn.GRU`: states [R, B, T, D·H] (or time first), last [layers·D, R, B, H]."""
    along, last = _stack(modules, Gru, tape, anchor, inputs)
    return along, torch.cat([hidden for (hidden,) in last])


def lstm(
    modules: Sequence[nn.LSTM], tape: Tape, anchor: Tensor, inputs: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return the output of `nn.LSTM`: states, and last states and cells, [layers·D, R, B, H] each."""
    along, last = _stack(modules, Lstm, tape, anchor, inputs)
    return along, (
        torch.cat([hidden for hidden, _ in last]),
        torch.cat([cell for _, cell in last]),
    )


FORWARDS: dict[type[nn.Module], Forward] = {
    nn.Linear: linear,
    nn.LayerNorm: layer_norm,
    nn.GRU: gru,
    nn.LSTM: lstm,
}
"""Forward passes that record the inputs of per-sample gradients, by the layer's exact type."""


def _stack(
    modules: Sequence[nn.RNNBase], cell: type[Any], tape: Tape, anchor: Tensor, inputs: Tensor
) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
    """Run all layers and return the top layer's states and the last states of each direction."""
    module = modules[0]
    sequence = inputs.permute(2, 0, 1, 3) if module.batch_first else inputs.transpose(0, 1)
    ends: list[tuple[Tensor, ...]] = []
    for number in range(module.num_layers):
        if number and module.dropout:
            sequence = functional.dropout(sequence, module.dropout, module.training)
        sequence, *end = cell.apply(sequence, anchor, Layer(modules, number), tape)
        ends.append(tuple(end))
    along = sequence.permute(1, 2, 0, 3) if module.batch_first else sequence.transpose(0, 1)
    return along, ends
