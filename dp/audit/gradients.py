"""Canaries in a private training: windows whose gradients are directions that nothing else uses.

A canary is a privacy unit: it changes `hit` windows, and its coin decides whether their gradients are
+g or −g, since neighbours differ by change. |g| is far above the clip, so that each of them enters the
sum as ±C along an axis of its own, like the worst unit that the accountant allows for. They pass
through the sampler, the clipping and the noise of the real training, beside real windows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import SGD

from dp.mechanisms.randomness import Generator
from dp.mechanisms.window_sampling import WindowSampling
from dp.private.training import _Steps

Loss = Callable[[Any, Any], Tensor]
Take = Callable[[Tensor], Any]

_LARGE = 1_000.0
"""Norm of a canary's gradient over the clip."""


@dataclass(frozen=True)
class Training:
    """A training that canaries are put into.

    Attributes:
        model: any module whose layers can be clipped.
        take: positions of windows to a batch, made-up data.
        loss: maps model and batch to one loss per window, [B].
        windows: how many `take` has.
        learning_rate: of SGD on the noised gradients; the auditor sees the gradients before it.
    """

    model: nn.Module
    take: Take
    loss: Loss
    windows: int
    learning_rate: float = 1e-3


@dataclass(frozen=True)
class Scores:
    """The coins and the scores of the canaries.

    Attributes:
        included: the coins, [m]; True for +g.
        scores: inner product of each canary's direction with all noised gradients, in units of the
            clip, [m].
    """

    included: NDArray[np.bool_]
    scores: NDArray[np.float64]


def plant(
    sampling: WindowSampling,
    clip: float,
    canaries: int,
    *,
    training: Training | None = None,
    seed: int | None = None,
) -> Scores:
    """Train once with canaries.

    Args:
        sampling: what is audited; rate, windows hit, updates and noise are kept.
        clip: C.
        canaries: m.
        training: a training on made-up data that canaries are added to; None for canaries alone.
        seed: of the coins, never of batches or noise; None for any.
    """
    others = training.windows if training else 0
    hit = sampling.hit
    windows = others + canaries * hit
    # the rate is batch / windows: rounded down, so that the audited rate is not exceeded
    batch = max(1, int(sampling.rate * windows * (1 + 1e-12)))
    used = replace(sampling, windows=windows, batch=batch, side_release=None)
    coins = np.random.default_rng(seed).random(canaries) < 0.5
    probed = _Probed(canaries, training.model if training else None)
    scores = torch.zeros(canaries, dtype=torch.float64)

    def watch(*_: object) -> None:
        gradient = probed.probe.weight.grad
        assert gradient is not None  # noqa: S101  (every update is noised)
        scores.add_(gradient[0].double())

    rate = training.learning_rate if training else 1e-3
    optimizer = SGD(probed.parameters(), lr=rate)
    optimizer.register_step_pre_hook(watch)
    signs = torch.from_numpy(np.where(coins, 1.0, -1.0) * _LARGE * clip).float()
    steps = _Steps(used, clip, Generator())
    for rows in steps.batches():
        steps.step(probed, optimizer, _batch(rows, others, hit, signs, training), _loss(training))
    return Scores(coins, scores.numpy() * batch / clip)


class _Probed(nn.Module):
    """The model, and beside it a linear layer with a weight for every canary."""

    def __init__(self, canaries: int, model: nn.Module | None) -> None:
        super().__init__()
        self.probe = nn.Linear(canaries, 1, bias=False)
        nn.init.zeros_(self.probe.weight)
        self.model = model


@dataclass(frozen=True)
class _Batch:
    """Windows of the training and of canaries.

    Attributes:
        directions: gradients of the probe, [B, m]; 0 for windows of the training.
        own: 1 for windows of the training, 0 for canaries, [B].
        windows: the training's batch, any of its windows where a canary stands; None without one.
    """

    directions: Tensor
    own: Tensor
    windows: Any

    def __len__(self) -> int:
        return len(self.own)


def _batch(rows: Tensor, others: int, hit: int, signs: Tensor, training: Training | None) -> _Batch:
    own = rows < others
    canary = torch.div(rows - others, hit, rounding_mode="floor").clamp(min=0)
    directions = torch.zeros(len(rows), len(signs))
    places = torch.nonzero(~own).flatten()
    directions[places, canary[places]] = signs[canary[places]]
    windows = training.take(torch.where(own, rows, 0)) if training and len(rows) else None
    return _Batch(directions, own.float(), windows)


def _loss(training: Training | None) -> Loss:
    def loss(probed: _Probed, batch: _Batch) -> Tensor:
        losses: Tensor = probed.probe(batch.directions).squeeze(1)
        if training is not None:
            losses = losses + training.loss(probed.model, batch.windows) * batch.own
        return losses

    return loss
