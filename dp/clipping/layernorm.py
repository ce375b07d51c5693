"""Layer normalisation: weight and bias are added up over time, so their gradients are direct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dp.clipping.tape import Tape
from dp.clipping.workspace import Workspace


@dataclass(frozen=True)
class LayerNormRecord:
    """Per-sample gradients of weight and bias, [R, B, K] each; a sample has few of them."""

    layers: Sequence[nn.LayerNorm]
    weight: Tensor
    bias: Tensor | None

    def squared_norms(self, space: Workspace) -> tuple[Tensor, Tensor]:
        """Return the squared L2 norm of each sample's gradient, [R, B]; nothing is lost to rounding."""
        total = self.weight.square().sum(dim=2)
        if self.bias is not None:
            total = total + self.bias.square().sum(dim=2)
        return total, total.new_zeros(())

    def without(self, lost: Tensor) -> LayerNormRecord:
        """Return the record without lost samples; see `Record`."""
        weight = self.weight.masked_fill(lost[..., None], 0)
        bias = None if self.bias is None else self.bias.masked_fill(lost[..., None], 0)
        return replace(self, weight=weight, bias=bias)

    def write(self, factors: Tensor | None, space: Workspace) -> None:
        """Write the weighted sums."""
        for run, layer in enumerate(self.layers):
            layer.weight.grad = _sum(self.weight[run], factors, run).view_as(layer.weight)
            if self.bias is not None:
                layer.bias.grad = _sum(self.bias[run], factors, run).view_as(layer.bias)


def _sum(each: Tensor, factors: Tensor | None, run: int) -> Tensor:
    return each.sum(dim=0) if factors is None else factors[run] @ each


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, anchor: Tensor, layers: Sequence[nn.LayerNorm], tape: Tape
    ) -> Tensor:
        ctx.inputs, ctx.layers, ctx.tape = inputs, layers, tape
        scaled = inputs * _beside([layer.weight for layer in layers], inputs)
        if layers[0].bias is None:
            return scaled
        return scaled + _beside([layer.bias for layer in layers], inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (grad,) = gradients
        layers: Sequence[nn.LayerNorm] = ctx.layers
        shape = (*grad.shape[:2], -1, layers[0].weight.numel())
        weight = (grad * ctx.inputs).reshape(shape).sum(dim=2)
        bias = None if layers[0].bias is None else grad.reshape(shape).sum(dim=2)
        ctx.tape.records.append(LayerNormRecord(layers, weight, bias))
        return grad * _beside([layer.weight for layer in layers], grad), None, None, None


def _beside(parameters: Sequence[Tensor], like: Tensor) -> Tensor:
    """Stack parameters of R runs so that they broadcast against values [R, B, ..., K]."""
    joined = torch.stack(list(parameters))
    return joined.view(len(joined), *(1,) * (like.dim() - joined.dim()), *joined.shape[1:])


def layer_norm(
    layers: Sequence[nn.LayerNorm], tape: Tape, anchor: Tensor, inputs: Tensor
) -> Tensor:
    """Return the layer's output, shaped like its input, and record it on the tape."""
    layer = layers[0]
    normal = functional.layer_norm(inputs, layer.normalized_shape, None, None, layer.eps)
    result: Tensor = _Affine.apply(normal, anchor, layers, tape)  # type: ignore[no-untyped-call]
    return result
