"""One gradient for all steps is the sum of those of each step."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.nets.unrolled import Unrolled


def through(layer: nn.Linear, recur, start: torch.Tensor, steps: int) -> torch.Tensor:  # type: ignore[no-untyped-def]
    state, total = start, start.new_zeros(())
    for _ in range(steps):
        state = torch.sin(recur(state))
        total = total + state.square().sum()
    return total


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_equals_the_layer_at_every_step(steps: int) -> None:
    torch.manual_seed(0)
    layer, start = nn.Linear(4, 4).double(), torch.randn(3, 4, dtype=torch.float64)
    found = []
    for shared in (False, True):
        inputs = start.clone().requires_grad_()
        layer.zero_grad()
        through(layer, Unrolled(layer) if shared else layer, inputs, steps).backward()
        assert layer.weight.grad is not None
        assert layer.bias.grad is not None
        assert inputs.grad is not None
        found.append((layer.weight.grad.clone(), layer.bias.grad.clone(), inputs.grad.clone()))
    for plain, shared in zip(*found, strict=True):
        torch.testing.assert_close(plain, shared, rtol=1e-12, atol=1e-12)


def test_without_gradients_nothing_is_kept() -> None:
    layer = nn.Linear(2, 2)
    with torch.no_grad():
        recur = Unrolled(layer)
        assert torch.equal(recur(torch.ones(1, 2)), layer(torch.ones(1, 2)))
    assert recur._steps == []
