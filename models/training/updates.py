"""Batches and updates of one run: the place where private training differs from plain training."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer

from models.batch import Batch
from models.forecaster import Forecaster
from models.training.config import TrainingConfig
from models.training.losses import Loss


class Updates(Protocol):
    """Batches and steps of one run."""

    @property
    def steps_per_epoch(self) -> int:
        """Updates in an epoch."""

    @property
    def noise_variance(self) -> float | None:
        """Of the noise on each coordinate of the mean gradient; None where there is none."""

    @property
    def clip(self) -> float | None:
        """L2 norm that each window's gradient is clipped to; None where it is left as it is."""

    def batches(self) -> Iterator[Tensor]:
        """Positions of the windows of each update, epochs × steps_per_epoch times; may be empty."""

    def step(
        self, model: Forecaster, optimizer: Optimizer, batch: Batch, loss: Loss
    ) -> Tensor | None:
        """Update the weights once.

        Args:
            model: in training mode, on the batch's device.
            optimizer: over the model's parameters.
            batch: B windows.
            loss: maps model and batch to one loss a window, [B].

        Returns:
            The mean loss, []; None from private updates, which reveal the weights and nothing else.
        """

    def apply(self, model: Forecaster, optimizer: Optimizer, found: Any) -> Tensor | None:
        """The second half of `step`: update the weights by gradients that are there already.

        Args:
            model: `.grad` of its parameters is that of the mean loss or, with `clip`, the sum of the
                clipped gradients.
            optimizer: over the model's parameters.
            found: what the pass that left them found out about the B windows.
        """


@dataclass(frozen=True)
class PlainUpdates:
    """Updates without privacy: shuffled batches, gradient norm of the mean loss clipped.

    Attributes:
        windows: how many there are.
        config: how to train.
    """

    windows: int
    config: TrainingConfig

    @property
    def steps_per_epoch(self) -> int:
        """Updates in an epoch; the last batch is smaller."""
        return math.ceil(self.windows / self.config.batch_size)

    @property
    def noise_variance(self) -> None:
        """Gradients are not noised."""
        return None

    @property
    def clip(self) -> None:
        """No window's gradient is looked at alone."""
        return None

    def batches(self) -> Iterator[Tensor]:
        """All windows in a new order each epoch."""
        order = torch.Generator().manual_seed(self.config.seed)
        for _ in range(self.config.epochs):
            yield from torch.split(
                torch.randperm(self.windows, generator=order), self.config.batch_size
            )

    def step(self, model: Forecaster, optimizer: Optimizer, batch: Batch, loss: Loss) -> Tensor:
        """One update with the mean gradient of the batch."""
        optimizer.zero_grad(set_to_none=True)
        mean = loss(model, batch).mean()
        mean.backward()  # type: ignore[no-untyped-call]
        self._update(model, optimizer)
        return mean.detach()

    def apply(self, model: Forecaster, optimizer: Optimizer, found: Any) -> Tensor:
        """One update with the mean gradient that is there."""
        self._update(model, optimizer)
        mean: Tensor = found.losses.mean()
        return mean

    def _update(self, model: Forecaster, optimizer: Optimizer) -> None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), self.config.grad_norm)
        optimizer.step()
