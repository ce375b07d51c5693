"""The tape of one forward and backward pass: what each layer needs for per-sample gradients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from dp.clipping.workspace import Workspace


class Record(Protocol):
    """One layer's share in the gradient of every sample of the batches of R runs."""

    def squared_norms(self, space: Workspace) -> tuple[Tensor, Tensor]:
        """Return the squared L2 norm of each sample's gradient of this layer's parameters, [R, B].

        Also return a bound on its rounding (`dp.clipping.rounding`), which broadcasts against it.
        """

    def without(self, lost: Tensor) -> Record:
        """Return the record with zeros for all values of the samples where `lost`, [R, B], is true.

        A factor of 0 is not enough: 0 times a value that is not finite is NaN.
        """

    def write(self, factors: Tensor | None, space: Workspace) -> None:
        """Set `.grad` of this layer's parameters to the sum of gradients times factors, [R, B].

        Without factors, gradients are not scaled.
        """


@dataclass
class Tape:
    """Records of one pass, in the order in which the backward pass reached the layers."""

    space: Workspace
    records: list[Record] = field(default_factory=list)

    def squared_norms(self) -> tuple[Tensor, Tensor]:
        """Return the squared L2 norm of each sample's whole gradient, [R, B], and its rounding."""
        parts = [record.squared_norms(self.space) for record in self.records]
        norms = torch.stack([norm for norm, _ in parts]).sum(dim=0)
        return norms, torch.stack([lost.expand_as(norms) for _, lost in parts]).sum(dim=0)

    def forget(self, lost: Tensor) -> None:
        """Zero all values of the samples where `lost`, [R, B], is true."""
        self.records[:] = [record.without(lost) for record in self.records]

    def write(self, factors: Tensor | None) -> None:
        """Set `.grad` of all parameters to the sum over the samples of gradient times factor."""
        for record in self.records:
            record.write(factors, self.space)
