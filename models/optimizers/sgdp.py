"""SGDP: momentum that does not lengthen weights whose length has no effect."""

from __future__ import annotations

import torch
from torch.optim.optimizer import ParamsT

from models.optimizers.adamp import move
from models.optimizers.base import FirstOrder, Settings, Tensors


class SGDP(FirstOrder):
    """SGDP (Heo et al. 2021, arXiv 2006.08217, algorithm 1), without Nesterov's look-ahead.

    The momentum b ← momentum·b + (1 − dampening)·g, with b₀ = 0, is the step p; weights are taken for
    scale-invariant, and p projected, as in `AdamP`. With wd_ratio only where p was projected:

        w ← (1 − lr·weight_decay·wd_ratio/(1 − momentum))·w − lr·p

    The momentum itself is never projected.

    Args:
        params: parameters that it updates.
        lr: learning rate, above 0.
        momentum: in [0, 1).
        dampening: in [0, 1].
        weight_decay: decoupled, 0 or more.
        delta: threshold of the cosine; 0 never projects.
        wd_ratio: share of the weight decay that projected weights get, 0 or more.
        eps: added to norms, 0 or more.

    Raises:
        ValueError: a setting is out of its range.
    """

    BUFFERS = ("momentum_buffer",)

    def __init__(
        self,
        params: ParamsT,
        lr: float,
        momentum: float = 0.9,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        delta: float = 0.1,
        wd_ratio: float = 0.1,
        eps: float = 1e-8,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "delta": delta,
            "wd_ratio": wd_ratio,
            "eps": eps,
        }
        super().__init__(params, defaults)

    def _update(
        self, group: Settings, step: int, weights: Tensors, grads: Tensors, *buffers: Tensors
    ) -> None:
        (momentum,) = buffers
        update_momentum(momentum, grads, group)
        move(weights, grads, momentum, group["lr"], decay_of(group), group, self._scratch(weights))


def update_momentum(momentum: Tensors, grads: Tensors, group: Settings) -> None:
    """Update b ← momentum·b + (1 − dampening)·g."""
    torch._foreach_mul_(momentum, group["momentum"])
    torch._foreach_add_(momentum, grads, alpha=1 - group["dampening"])


def decay_of(group: Settings) -> float:
    """Return the share of a weight that decays per step: the sum over the momentum, applied at once."""
    decay: float = group["lr"] * group["weight_decay"] / (1 - group["momentum"])
    return decay
