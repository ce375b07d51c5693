"""The tape of one forward and backward pass: what each layer needs for per-sample gradients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from dp.clipping.workspace import Workspace


class Record(Protocol):
    """One layer's share in the gradient of every sample of the batches of R runs."""

    def squared_norms(self, space: Workspace) -> Tensor:
        """Squared L2 norm of each sample's gradient of this layer's parameters, [R, B]."""

    def write(self, factors: Tensor | None, space: Workspace) -> None:
        """Set `.grad` of this layer's parameters to the sum of gradients times factors, [R, B].

        Without factors each gradient counts as it is.
        """


@dataclass
class Tape:
    """Records of one pass, in the order in which the backward pass reached the layers."""

    space: Workspace
    records: list[Record] = field(default_factory=list)

    def squared_norms(self) -> Tensor:
        """Squared L2 norm of each sample's gradient of all parameters, [R, B]."""
        parts = [record.squared_norms(self.space) for record in self.records]
        return torch.stack(parts).sum(dim=0)

    def write(self, factors: Tensor | None) -> None:
        """Set `.grad` of all parameters to the sum over the samples of gradient times factor."""
        for record in self.records:
            record.write(factors, self.space)
