"""Blends: the mean of several forecasters, whose errors differ and partly cancel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from models.batch import Batch
from models.config import ForecasterConfig
from models.forecaster import Forecaster
from models.registry import NETWORKS


class Blend(Forecaster):
    """A mean with equal weights for all kinds of members, and for all networks of a kind.

    Attributes:
        kinds: for each name in `config.members`, the forecasters of that name.
    """

    def __init__(
        self,
        config: ForecasterConfig,
        seed: int,
        make: Callable[[ForecasterConfig, int], Forecaster],
    ) -> None:
        super().__init__(config)
        self.kinds = nn.ModuleList(
            nn.ModuleList(
                make(replace(config, model=name), seed + 1000 * copy)
                for copy in range(config.copies if name in NETWORKS else 1)
            )
            for name in config.members
        )

    @property
    def groups(self) -> list[list[Forecaster]]:
        """Members by kind."""
        return [list(kind) for kind in self.kinds]  # type: ignore[call-overload]

    def forward(self, batch: Batch) -> Tensor:
        """Return the forecast, [B, H, R], persons."""
        means = [
            torch.stack([member(batch) for member in kind]).mean(dim=0) for kind in self.groups
        ]
        return torch.stack(means).mean(dim=0)
