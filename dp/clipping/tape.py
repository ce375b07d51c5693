"""The tape of one forward and backward pass: what each layer needs for per-sample gradients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from dp.clipping.workspace import Workspace


class Record(Protocol):
    """One layer's share in the gradient of every sample of a batch."""

    def squared_norms(self, space: Workspace) -> Tensor:
        """Squared L2 norm of each sample's gradient of this layer's parameters, [B]."""

    def write(self, factors: Tensor, space: Workspace) -> None:
        """Set `.grad` of this layer's parameters to the sum of all gradients times factors, [B]."""


@dataclass
class Tape:
    """Records of one pass, in the order in which the backward pass reached the layers."""

    space: Workspace
    records: list[Record] = field(default_factory=list)

    def squared_norms(self) -> Tensor:
        """Squared L2 norm of each sample's gradient of all parameters, [B]."""
        parts = [record.squared_norms(self.space) for record in self.records]
        return torch.stack(parts).sum(dim=0)

    def write(self, factors: Tensor) -> None:
        """Set `.grad` of all parameters to the sum over the samples of gradient times factor."""
        for record in self.records:
            record.write(factors, self.space)


def gram(values: Tensor, space: Workspace, name: str) -> Tensor:
    """⟨v_t, v_s⟩ of each sample: [T, B, K] to [B, T, T]."""
    steps, batch, _ = values.shape
    by_sample = values.transpose(0, 1)
    result = space.take(f"gram {name}", values, batch, steps, steps)
    return torch.bmm(by_sample, by_sample.transpose(1, 2), out=result)
