"""AdaBelief: Adam that divides by the distance of the gradient from its average."""

from __future__ import annotations

import math

import torch
from torch.optim.optimizer import ParamsT

from models.optimizers.base import FirstOrder, Settings, Tensors


class AdaBelief(FirstOrder):
    """AdaBelief (Zhuang et al. 2020, arXiv 2010.07468, algorithm 2), without rectification.

        m ← β₁m + (1−β₁)g,   s ← β₂s + (1−β₂)(g − m)² + eps
        θ ← (1 − lr·weight_decay)·θ,   θ ← θ − lr/(1−β₁ᵗ) · m/(√(s/(1−β₂ᵗ)) + eps)

    eps adds up in s, as in the paper and in its code: s never falls below about 1000·eps with the
    default β₂. For recurrent networks the authors use 1e-16 with one layer and 1e-12 with more.

    Args:
        params: parameters that it updates.
        lr: learning rate, above 0.
        betas: decay of the averages of g and (g − m)², each in [0, 1).
        eps: added to the second average at every step, and to its root; 0 or more.
        weight_decay: decoupled, 0 or more.

    Raises:
        ValueError: a setting is out of its range.
    """

    BUFFERS = ("exp_avg", "exp_avg_var")

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    def _update(
        self, group: Settings, step: int, weights: Tensors, grads: Tensors, *buffers: Tensors
    ) -> None:
        exp_avg, exp_avg_var = buffers
        beta1, beta2 = group["betas"]
        lr, eps = group["lr"], group["eps"]
        update_belief(exp_avg, exp_avg_var, grads, group["betas"], eps)
        shrink(weights, lr * group["weight_decay"])
        # the root of the bias of s moves from below the line to before it, and to eps
        bias = math.sqrt(1 - beta2**step)
        scale = torch._foreach_sqrt(exp_avg_var)
        torch._foreach_add_(scale, eps * bias)
        torch._foreach_addcdiv_(weights, exp_avg, scale, -lr * bias / (1 - beta1**step))


def update_belief(
    exp_avg: Tensors, exp_avg_var: Tensors, grads: Tensors, betas: tuple[float, float], eps: float
) -> None:
    """Update m ← β₁m + (1−β₁)g, then s ← β₂s + (1−β₂)(g − m)² + eps with the new m."""
    beta1, beta2 = betas
    torch._foreach_lerp_(exp_avg, grads, 1 - beta1)
    surprise = torch._foreach_sub(grads, exp_avg)
    torch._foreach_mul_(exp_avg_var, beta2)
    torch._foreach_addcmul_(exp_avg_var, surprise, surprise, 1 - beta2)
    torch._foreach_add_(exp_avg_var, eps)


def shrink(weights: Tensors, share: float) -> None:
    """Apply decoupled weight decay (arXiv 1711.05101): θ ← (1 − share)·θ."""
    if share != 0:
        torch._foreach_mul_(weights, 1 - share)
