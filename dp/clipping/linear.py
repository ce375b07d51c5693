"""Linear layers: the gradient of a sample is b aᵀ, or Σ_t b_t a_tᵀ over further dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from dp.clipping import rounding
from dp.clipping.tape import Tape
from dp.clipping.workspace import Workspace


@dataclass(frozen=True)
class LinearRecord:
    """Inputs [R, B, T, F] and output gradients [R, B, T, O] of one linear layer of R runs."""

    layers: Sequence[nn.Linear]
    inputs: Tensor
    grad: Tensor

    def squared_norms(self, space: Workspace) -> tuple[Tensor, Tensor]:
        """Return the squared L2 norm of each sample's gradient, [R, B], and its rounding."""
        bias = 0 if self.layers[0].bias is None else 1
        _, _, steps, width = self.inputs.shape
        values = self.inputs.square().sum(dim=3) + bias
        slopes = self.grad.square().sum(dim=3)
        lost = rounding.lost(values, slopes)
        total: Tensor
        if steps == 1:
            total = (values * slopes)[..., 0]
        elif steps * (width + self.grad.shape[3]) <= self.layers[0].weight.numel():
            inputs, grad = self.inputs @ self.inputs.mT, self.grad @ self.grad.mT
            inputs += bias
            total = torch.linalg.vecdot(inputs.flatten(2), grad.flatten(2))
        else:
            each = (self.grad.mT @ self.inputs).flatten(2)
            total = torch.linalg.vecdot(each, each)
            total = total + bias * self.grad.sum(dim=2).square().sum(dim=2)
        return total, lost

    def without(self, lost: Tensor) -> LinearRecord:
        """Return the record without lost samples; see `Record`."""
        rows = lost[:, :, None, None]
        return replace(
            self, inputs=self.inputs.masked_fill(rows, 0), grad=self.grad.masked_fill(rows, 0)
        )

    def write(self, factors: Tensor | None, space: Workspace) -> None:
        """Write the weighted sum, one product over samples and steps."""
        grad = self.grad if factors is None else self.grad * factors[:, :, None, None]
        rows = grad.flatten(1, 2)
        for layer, weight in zip(
            self.layers, (rows.mT @ self.inputs.flatten(1, 2)).unbind(), strict=True
        ):
            layer.weight.grad = weight
        if self.layers[0].bias is not None:
            for layer, bias in zip(self.layers, rows.sum(dim=1).unbind(), strict=True):
                layer.bias.grad = bias


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, anchor: Tensor, layers: Sequence[nn.Linear], tape: Tape
    ) -> Tensor:
        ctx.inputs, ctx.layers, ctx.tape = inputs, layers, tape
        weight = torch.stack([layer.weight for layer in layers])
        rows = inputs.flatten(1, -2)
        if layers[0].bias is None:
            result = rows @ weight.mT
        else:
            bias = torch.stack([layer.bias for layer in layers])
            result = torch.baddbmm(bias[:, None], rows, weight.mT)
        return result.view(*inputs.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (grad,) = gradients
        layers: Sequence[nn.Linear] = ctx.layers
        ctx.tape.records.append(LinearRecord(layers, _with_steps(ctx.inputs), _with_steps(grad)))
        if not ctx.needs_input_grad[0]:
            return None, None, None, None
        weight = torch.stack([layer.weight for layer in layers])
        return (grad.flatten(1, -2) @ weight).view_as(ctx.inputs), None, None, None


def linear(layers: Sequence[nn.Linear], tape: Tape, anchor: Tensor, inputs: Tensor) -> Tensor:
    """Return the layer's output, [R, B, ..., O], and record it on the tape."""
    result: Tensor = _Linear.apply(inputs, anchor, layers, tape)  # type: ignore[no-untyped-call]
    return result


def _with_steps(values: Tensor) -> Tensor:
    """Return values [R, B, ..., K] as [R, B, T, K]."""
    return values.flatten(2, -2) if values.dim() > 3 else values[:, :, None]
