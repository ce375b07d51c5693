"""The tape of one forward and backward pass: what each layer needs for per-sample gradients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor


class Record(Protocol):
    """One layer's share in the gradient of every sample of a batch."""

    def squared_norms(self) -> Tensor:
        """Squared L2 norm of each sample's gradient of this layer's parameters, [B]."""

    def write(self, factors: Tensor) -> None:
        """Set `.grad` of this layer's parameters to the sum of all gradients times factors, [B]."""


@dataclass
class Tape:
    """Records of one pass, in the order in which the backward pass reached the layers."""

    records: list[Record] = field(default_factory=list)

    def squared_norms(self) -> Tensor:
        """Squared L2 norm of each sample's gradient of all parameters, [B]."""
        return torch.stack([record.squared_norms() for record in self.records]).sum(dim=0)

    def write(self, factors: Tensor) -> None:
        """Set `.grad` of all parameters to the sum over the samples of gradient times factor."""
        for record in self.records:
            record.write(factors)


def gram(values: Tensor) -> Tensor:
    """⟨v_t, v_s⟩ of each sample: [T, B, K] to [B, T, T]."""
    by_sample = values.transpose(0, 1)
    return by_sample @ by_sample.transpose(1, 2)
