"""Layer normalisation: weight and bias are added up over time, so their gradients are direct."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dp.clipping.tape import Tape
from dp.clipping.workspace import Workspace


@dataclass(frozen=True)
class LayerNormRecord:
    """Per-sample gradients of weight and bias, [B, K] each; a sample has few of them."""

    layer: nn.LayerNorm
    weight: Tensor
    bias: Tensor | None

    def squared_norms(self, space: Workspace) -> Tensor:
        """Squared L2 norm of each sample's gradient, [B]."""
        total = self.weight.square().sum(dim=1)
        return total if self.bias is None else total + self.bias.square().sum(dim=1)

    def write(self, factors: Tensor, space: Workspace) -> None:
        """Clipped sums."""
        self.layer.weight.grad = (factors @ self.weight).view_as(self.layer.weight)
        if self.bias is not None:
            self.layer.bias.grad = (factors @ self.bias).view_as(self.layer.bias)


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, anchor: Tensor, layer: nn.LayerNorm, tape: Tape
    ) -> Tensor:
        ctx.inputs, ctx.layer, ctx.tape = inputs, layer, tape
        scaled = inputs * layer.weight
        return scaled if layer.bias is None else scaled + layer.bias

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (grad,) = gradients
        layer: nn.LayerNorm = ctx.layer
        batch, width = len(grad), layer.weight.numel()
        weight = (grad * ctx.inputs).reshape(batch, -1, width).sum(dim=1)
        bias = None if layer.bias is None else grad.reshape(batch, -1, width).sum(dim=1)
        ctx.tape.records.append(LayerNormRecord(layer, weight, bias))
        return grad * layer.weight, None, None, None


def layer_norm(layer: nn.LayerNorm, tape: Tape, anchor: Tensor, inputs: Tensor) -> Tensor:
    """The layer's output, shaped like its input, noted on the tape."""
    normal = functional.layer_norm(inputs, layer.normalized_shape, None, None, layer.eps)
    result: Tensor = _Affine.apply(normal, anchor, layer, tape)  # type: ignore[no-untyped-call]
    return result
