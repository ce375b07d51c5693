"""GRU and LSTM with relu in place of tanh, as in Keras: the networks of the paper.

Stock `nn.GRU` and `nn.LSTM` have tanh only. For reproduction only: on unscaled counts a network needs
relu to reach the size of the counts at all.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.nets.unrolled import Unrolled


class ReluNetwork(nn.Module):
    """One recurrent layer, in one or both directions, and a linear head.

    Args:
        name: `lstm`, `gru`, `bilstm` or `bigru`.
        inputs: F, values per interval.
        hidden: width of the hidden state, per direction.
        outputs: number of values forecast.
    """

    def __init__(self, name: str, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        cell = _Gru if name.endswith("gru") else _Lstm
        directions = 2 if name.startswith("bi") else 1
        self.cells = nn.ModuleList(cell(inputs, hidden) for _ in range(directions))
        self.head = _keras(nn.Linear(hidden * directions, outputs))

    def forward(self, sequence: Tensor) -> Tensor:
        """Return the forecast, [B, outputs], of a sequence, [B, L, F]."""
        ends = [
            cell(sequence.flip(1) if reverse else sequence)
            for reverse, cell in enumerate(self.cells)
        ]
        forecast: Tensor = self.head(torch.cat(ends, dim=1))
        return forecast


class _Cell(nn.Module):
    """Weights of all gates side by side."""

    gates: int

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.read = _keras(nn.Linear(inputs, self.gates * hidden))
        self.recur = nn.Linear(hidden, self.gates * hidden)
        nn.init.orthogonal_(self.recur.weight)
        nn.init.zeros_(self.recur.bias)
        self.hidden = hidden

    def _start(self, sequence: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inputs of all gates from the sequence, [L, B, gates·H], and a state of zeros."""
        return self.read(sequence.transpose(0, 1)), sequence.new_zeros(len(sequence), self.hidden)


class _Gru(_Cell):
    """Keras's GRU with `reset_after`, which is the form of torch."""

    gates = 3

    def forward(self, sequence: Tensor) -> Tensor:
        """Last state, [B, H]."""
        read, state = self._start(sequence)
        recur = Unrolled(self.recur)
        for step in read:
            new = step.chunk(3, dim=1)
            old = recur(state).chunk(3, dim=1)
            reset, update = torch.sigmoid(new[0] + old[0]), torch.sigmoid(new[1] + old[1])
            candidate = torch.relu(new[2] + reset * old[2])
            state = update * state + (1 - update) * candidate
        return state


class _Lstm(_Cell):
    """LSTM with relu for candidate and output."""

    gates = 4

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        with torch.no_grad():  # Keras initialises the forget gates with a bias of 1
            self.read.bias[hidden : 2 * hidden] = 1

    def forward(self, sequence: Tensor) -> Tensor:
        """Last state, [B, H]."""
        read, state = self._start(sequence)
        cell, recur = state, Unrolled(self.recur)
        for step in read:
            into, forget, candidate, out = (step + recur(state)).chunk(4, dim=1)
            remembered = torch.sigmoid(forget) * cell
            cell = remembered + torch.sigmoid(into) * torch.relu(candidate)
            state = torch.sigmoid(out) * torch.relu(cell)
        return state


def fit(
    model: ReluNetwork,
    inputs: Tensor,
    targets: Tensor,
    *,
    learning_rate: float,
    batch_size: int,
    epochs: int,
    seed: int,
    on_epoch: Callable[[int], None] | None = None,
) -> None:
    """Train as in the paper: Adam on the mean absolute error, shuffled batches, no scaling.

    Args:
        model: changed in place.
        inputs: [N, L, F].
        targets: [N, outputs].
        learning_rate: of Adam.
        batch_size: windows per update.
        epochs: passes over all windows.
        seed: of the order of batches.
        on_epoch: called after each epoch with its number.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, eps=1e-7, fused=True)
    order = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        for rows in torch.split(torch.randperm(len(inputs), generator=order), batch_size):
            rows = rows.to(inputs.device)
            optimizer.zero_grad(set_to_none=True)
            (model(inputs[rows]) - targets[rows]).abs().mean().backward()
            optimizer.step()
        if on_epoch is not None:
            on_epoch(epoch + 1)


def _keras(layer: nn.Linear) -> nn.Linear:
    """Initialise a layer as Keras does."""
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
