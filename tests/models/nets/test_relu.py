"""The paper's networks: equal to torch's where torch has them, and able to learn."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from models.nets import relu
from models.nets.relu import ReluNetwork


@pytest.mark.parametrize("name", ["gru", "lstm", "bigru", "bilstm"])
def test_with_tanh_they_are_torchs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "relu", torch.tanh)
    ours = ReluNetwork(name, 3, 5, 2)
    cells: Any = ours.cells
    stock = (nn.GRU if name.endswith("gru") else nn.LSTM)(
        3, 5, batch_first=True, bidirectional=name.startswith("bi")
    )
    with torch.no_grad():
        for cell, suffix in zip(cells, ("l0", "l0_reverse"), strict=False):
            for own, part in ((cell.read, "ih"), (cell.recur, "hh")):
                nn.init.normal_(own.bias)
                getattr(stock, f"weight_{part}_{suffix}").copy_(own.weight)
                getattr(stock, f"bias_{part}_{suffix}").copy_(own.bias)
    x = torch.randn(4, 6, 3)
    _, state = stock(x)
    hidden = state if isinstance(state, torch.Tensor) else state[0]
    want = ours.head(torch.cat(list(hidden), dim=1))
    torch.testing.assert_close(ours(x), want, rtol=1e-4, atol=1e-5)


def test_they_learn_counts_as_they_are() -> None:
    torch.manual_seed(0)
    x = torch.rand(200, 6, 2) * 10_000
    y = x[:, -1]
    model = ReluNetwork("bigru", 2, 16, 2)
    before = float((model(x) - y).detach().abs().mean())
    done: list[int] = []
    relu.fit(
        model, x, y, learning_rate=3e-3, batch_size=10, epochs=25, seed=0, on_epoch=done.append
    )
    assert float((model(x) - y).detach().abs().mean()) < before / 5
    assert done == list(range(1, 26))
