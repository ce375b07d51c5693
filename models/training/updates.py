"""Batches and updates of one run, where private and plain training differ."""

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
        """Variance of the noise on each coordinate of the mean gradient; None without noise."""

    @property
    def clip(self) -> float | None:
        """L2 norm to which the gradient of each window is clipped; None without clipping."""

    def batches(self) -> Iterator[Tensor]:
        """Yield window positions of each update, epochs × steps_per_epoch times; may be empty."""

    def step(
        self, model: Forecaster, optimizer: Optimizer, batch: Batch, loss: Loss
    ) -> Tensor | None:
        """Update the weights once.

        Args:
            model: in training mode, on the batch's device.
            optimizer: over the model's parameters.
            batch: B windows.
            loss: maps model and batch to one loss per window, [B].

        Returns:
            The mean loss, []; None from private updates, which reveal only the weights.
        """

    def apply(self, model: Forecaster, optimizer: Optimizer, result: Any) -> Tensor | None:
        """Do the second half of `step`: update the weights by gradients that are computed already.

        Args:
            model: `.grad` of its parameters is that of the mean loss or, with `clip`, the sum of the
                clipped gradients.
            optimizer: over the model's parameters.
            result: of the pass that computed them, about the B windows.
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
        """Gradients of single windows are not clipped."""
        return None

    def batches(self) -> Iterator[Tensor]:
        """Yield all windows, in a new order in each epoch."""
        order = torch.Generator().manual_seed(self.config.seed)
        for _ in range(self.config.epochs):
            yield from torch.split(
                torch.randperm(self.windows, generator=order), self.config.batch_size
            )

    def step(self, model: Forecaster, optimizer: Optimizer, batch: Batch, loss: Loss) -> Tensor:
        """Update by the mean gradient of the batch."""
        optimizer.zero_grad(set_to_none=True)
        mean = loss(model, batch).mean()
        mean.backward()  # type: ignore[no-untyped-call]
        self._update(model, optimizer)
        return mean.detach()

    def apply(self, model: Forecaster, optimizer: Optimizer, result: Any) -> Tensor:
        """Update by the mean gradient that is computed already."""
        self._update(model, optimizer)
        mean: Tensor = result.losses.mean()
        return mean

    def _update(self, model: Forecaster, optimizer: Optimizer) -> None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), self.config.grad_norm)
        optimizer.step()
