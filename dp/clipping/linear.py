"""Linear layers: the gradient of a sample is b aᵀ, or Σ_t b_t a_tᵀ over further dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dp.clipping.tape import Tape, gram
from dp.clipping.workspace import Workspace


@dataclass(frozen=True)
class LinearRecord:
    """Inputs [T, B, F] and output gradients [T, B, O] of one linear layer."""

    layer: nn.Linear
    inputs: Tensor
    grad: Tensor

    def squared_norms(self, space: Workspace) -> Tensor:
        """Squared L2 norm of each sample's gradient, [B]."""
        bias = 0 if self.layer.bias is None else 1
        if len(self.inputs) == 1:
            values = self.inputs[0].square().sum(dim=1) + bias
            return values * self.grad[0].square().sum(dim=1)
        steps, _, width = self.inputs.shape
        if steps * (width + self.grad.shape[2]) <= self.layer.weight.numel():
            inputs, grad = gram(self.inputs, space, "inputs"), gram(self.grad, space, "grad")
            inputs += bias
            total: Tensor = torch.linalg.vecdot(inputs.flatten(1), grad.flatten(1))
            return total
        rows = self.grad.permute(1, 2, 0)
        each = (rows @ self.inputs.transpose(0, 1)).flatten(1)
        total = torch.linalg.vecdot(each, each)
        return total + bias * rows.sum(dim=2).square().sum(dim=1)

    def write(self, factors: Tensor, space: Workspace) -> None:
        """Clipped sum: one product over samples and steps."""
        scaled = (self.grad * factors[None, :, None]).flatten(0, 1)
        self.layer.weight.grad = scaled.t() @ self.inputs.flatten(0, 1)
        if self.layer.bias is not None:
            self.layer.bias.grad = scaled.sum(dim=0)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, anchor: Tensor, layer: nn.Linear, tape: Tape) -> Tensor:
        ctx.inputs, ctx.layer, ctx.tape = inputs, layer, tape
        return functional.linear(inputs, layer.weight, layer.bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (grad,) = gradients
        layer: nn.Linear = ctx.layer
        record = LinearRecord(layer, _steps_first(ctx.inputs), _steps_first(grad))
        ctx.tape.records.append(record)
        to_inputs = grad @ layer.weight if ctx.needs_input_grad[0] else None
        return to_inputs, None, None, None


def linear(layer: nn.Linear, tape: Tape, anchor: Tensor, inputs: Tensor) -> Tensor:
    """The layer's output, [B, ..., O], noted on the tape."""
    result: Tensor = _Linear.apply(inputs, anchor, layer, tape)  # type: ignore[no-untyped-call]
    return result


def _steps_first(values: Tensor) -> Tensor:
    """[B, ..., K] as [T, B, K]."""
    return values.flatten(1, -2).transpose(0, 1) if values.dim() > 2 else values[None]
