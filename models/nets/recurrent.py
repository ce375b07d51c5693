"""The recurrent forecaster: a network for the latest counts, and a head that adds seasonal inputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models import nets
from models.batch import Batch
from models.config import ForecasterConfig
from models.forecaster import Forecaster
from models.nets.ghost_norm import GhostBatchNorm


@dataclass(frozen=True)
class Read:
    """Inputs of the layers for B windows.

    Attributes:
        sequence: levels, moves and calendar of the latest intervals, [B, L, 2R + C].
        ahead: inputs about the target intervals that are known in advance, [B, A].
    """

    sequence: Tensor
    ahead: Tensor


class Network(Forecaster):
    """Persistence plus a learned step.

    The step starts at the latest value, in units of the typical step of each region, so an untrained
    network (head and skip start at zero) is persistence. Recurrent network, head and skip are stock
    `nn.GRU`/`nn.LSTM` and `nn.Linear`: layers whose per-sample gradients are known have all parameters.
    """

    def __init__(self, config: ForecasterConfig) -> None:
        super().__init__(config)
        regions = len(config.regions)
        self.net = nets.build(
            config.model,
            2 * regions + config.features,
            config.hidden,
            config.layers,
            config.dropout,
        )
        self.norm = None if config.ghost is None else GhostBatchNorm(self.net.outputs, config.ghost)
        self.dropout = nn.Dropout(config.dropout)
        changes = config.seasonal_change + (config.seasonal if config.seasonal_context else 0)
        ahead = config.horizon * ((config.seasonal + changes) * regions + config.features)
        ahead += config.seasonal * max(0, config.seasonal_context - 1) * regions
        self.head = _zero_linear(self.net.outputs + ahead, config.horizon * regions)
        self.skip = (
            _zero_linear(config.lags * regions + ahead, config.horizon * regions)
            if config.linear_skip
            else None
        )

    def forward(self, batch: Batch) -> Tensor:
        """Return the forecast, [B, H, R], persons."""
        forecast: Tensor = batch.past[:, -1:] + self.steps(self.read(batch)) * self.step
        return forecast

    def read(self, batch: Batch) -> Read:
        """Return the inputs of the layers, which depend on no parameter."""
        return Read(self.sequence(batch), self._ahead(batch, batch.past[:, -1]))

    def steps(self, read: Read) -> Tensor:
        """Return steps from the latest value in units of the typical step, [..., B, H, R].

        Only the layers depend on the number of axes before that of the features.
        """
        hidden = self.net(read.sequence)
        if self.norm is not None:
            hidden = self.norm(hidden)
        hidden = self.dropout(hidden)
        steps: Tensor = self.head(torch.cat([hidden, read.ahead], dim=-1))
        regions = len(self.config.regions)
        if self.skip is not None:
            level = read.sequence[..., :regions].flatten(-2)
            steps = steps + self.skip(torch.cat([level, read.ahead], dim=-1))
        return steps.view(*steps.shape[:-1], self.config.horizon, regions)

    def sequence(self, batch: Batch) -> Tensor:
        """Return the inputs of the recurrent layer, [B, L, 2R + C]: levels, moves and calendar."""
        past = batch.past
        level = (past - self.mean) / self.scale
        moves = (past[:, 1:] - past[:, :-1]) / self.step
        first = torch.zeros_like(moves[:, :1]) if past.shape[1] > 1 else torch.zeros_like(level)
        return torch.cat([level, torch.cat([first, moves], dim=1), batch.past_calendar], dim=2)

    def _ahead(self, batch: Batch, last: Tensor) -> Tensor:
        """Return the inputs about the target intervals that are known in advance, one row per window."""
        # seasonal values as steps from the latest value: the remaining step, without the level
        parts = [(batch.seasonal - last[:, None, None]) / self.scale, batch.calendar]
        if self.config.seasonal_context:  # how counts moved then
            latest = batch.seasonal_context[:, :, -1:]
            parts.append((batch.seasonal - latest) / self.step)
            parts.append((batch.seasonal_context[:, :, :-1] - latest) / self.step)
        parts.append(batch.seasonal_change / self.step)
        return torch.cat([part.flatten(1) for part in parts], dim=1)


def _zero_linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
