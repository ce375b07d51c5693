"""Unrolled linear layers: one layer at every time step, with one gradient for all of them.

Autograd forms the gradient of a shared weight at each step and adds them up; for small batches this
takes most of a backward pass. Here the steps are concatenated and multiplied once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Steps = list[tuple[Tensor, Tensor]]
"""Gradient of the result and input of each step, [B, O] and [B, I]."""


class Unrolled:
    """A linear layer over the steps of one forward pass; equal to calling the layer at each step.

    Args:
        layer: shared by all steps.
    """

    def __init__(self, layer: nn.Linear) -> None:
        self._steps: Steps = []
        self._weight: Tensor = _Gathered.apply(layer.weight, self._steps)  # type: ignore[no-untyped-call]
        self._bias = layer.bias

    def __call__(self, state: Tensor) -> Tensor:
        """Return the result of the layer, [B, O], for [B, I]."""
        product: Tensor = _Step.apply(state, self._weight, self._steps)  # type: ignore[no-untyped-call]
        return product + self._bias


class _Gathered(torch.autograd.Function):
    """The weight itself; its gradient is formed after the backward pass of all steps."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, steps: Steps) -> Tensor:
        ctx.steps = steps
        return weight.view_as(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor, None]:
        gradients, inputs = (torch.cat(parts) for parts in zip(*ctx.steps, strict=True))
        ctx.steps.clear()
        return gradients.T @ inputs, None


class _Step(torch.autograd.Function):
    """One step; stores its part of the gradient of the weight."""

    @staticmethod
    def forward(ctx: Any, state: Tensor, weight: Tensor, steps: Steps) -> Tensor:
        ctx.save_for_backward(state, weight)
        ctx.steps = steps
        return state @ weight.T

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *results: Tensor) -> tuple[Tensor, Tensor | None, None]:
        (gradient,) = results
        state, weight = ctx.saved_tensors
        # any gradient of the weight makes autograd call its backward; its value is not used
        token = None if ctx.steps else gradient.new_zeros(()).expand_as(weight)
        ctx.steps.append((gradient, state))
        return gradient @ weight, token, None
