"""Gated recurrent unit (Cho et al. 2014, arXiv:1406.1078), in one or both directions."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Gru(nn.Module):
    """A stock `nn.GRU` read at its last hidden state.

    Attributes:
        outputs: width of the result, `hidden` × directions.
    """

    def __init__(
        self, inputs: int, hidden: int, layers: int, dropout: float, *, bidirectional: bool
    ) -> None:
        super().__init__()
        self.rnn = nn.GRU(
            inputs,
            hidden,
            num_layers=layers,
            # between layers only; torch warns if there is a single one
            dropout=dropout if layers > 1 else 0.0,
            batch_first=True,
            bidirectional=bidirectional,
        )
        self.directions = 2 if bidirectional else 1
        self.outputs = hidden * self.directions

    def forward(self, sequence: Tensor) -> Tensor:
        """Return the last hidden state of the top layer, directions side by side.

        Args:
            sequence: oldest first, [B, L, F].

        Returns:
            Hidden state, [B, hidden × directions]; the backward direction ends at the oldest interval.
        """
        _, hidden = self.rnn(sequence)
        return torch.cat(list(hidden[-self.directions :]), dim=-1)
