"""diffGrad: Adam with a friction that slows down where the gradient stops changing."""

from __future__ import annotations

import math

import torch
from torch.optim.optimizer import ParamsT

from models.optimizers.base import FirstOrder, Settings, Tensors, adam_change, with_decay


class DiffGrad(FirstOrder):
    """diffGrad (Dubey et al. 2020, arXiv 1909.11015).

    With Adam's averages m and v of the gradient g, and g₀ = 0:

        ξ = sigmoid(|gₜ₋₁ − gₜ|),   θ ← θ − lr·√(1−β₂ᵗ)/(1−β₁ᵗ) · ξ·m/(√v + eps)

    so ξ is ½ where the gradient stands still and 1 where it jumps. eps is added before the correction
    of the bias, as published. Weight decay is coupled: g is the gradient plus weight_decay·θ, in ξ too.

    Args:
        params: parameters that it updates.
        lr: learning rate, above 0.
        betas: decay of the averages of g and g², each in [0, 1).
        eps: added to the root of the second moment, 0 or more.
        weight_decay: 0 or more.

    Raises:
        ValueError: a setting is out of its range.
    """

    BUFFERS = ("exp_avg", "exp_avg_sq", "previous_grad")

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    def _update(
        self, group: Settings, step: int, weights: Tensors, grads: Tensors, *buffers: Tensors
    ) -> None:
        exp_avg, exp_avg_sq, previous = buffers
        _, beta2 = group["betas"]
        grads = with_decay(weights, grads, group["weight_decay"])
        # m̂/(√v̂ + eps/√(1−β₂ᵗ)) is √(1−β₂ᵗ)/(1−β₁ᵗ) · m/(√v + eps)
        eps = group["eps"] / math.sqrt(1 - beta2**step)
        change = adam_change(exp_avg, exp_avg_sq, grads, group["betas"], eps, step)
        slowed = friction(previous, grads, 1.0)
        torch._foreach_addcmul_(weights, slowed, change, -group["lr"])
        # a copy: zero_grad may keep the memory of the gradient, where the next one is written
        torch._foreach_copy_(previous, grads)


def friction(previous: Tensors, grads: Tensors, unit: float) -> Tensors:
    """Return ξ = sigmoid(|previous − grads| / unit), in [½, 1]; written into `previous`."""
    torch._foreach_sub_(previous, grads)
    torch._foreach_abs_(previous)
    if unit != 1:
        torch._foreach_div_(previous, unit)
    torch._foreach_sigmoid_(previous)
    return previous
