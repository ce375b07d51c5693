"""DP-Adam: Adam without the noise in its second moment."""

from __future__ import annotations

import math

import torch
from torch.optim.optimizer import ParamsT

from models.optimizers.base import FirstOrder, Settings, Tensors, with_decay


class DpAdam(FirstOrder):
    """DP-AdamBC (Tang, Shpilevskiy and Lécuyer 2024, arXiv 2312.14334), with another floor.

    Independent noise of variance Φ adds Φ to the mean of g̃², and Adam under much noise is momentum
    divided by √Φ, the same for all coordinates. So Φ is subtracted: with Adam's m̂ and v̂ of g̃,

        θ ← θ − lr·m̂/(√max(v̂ − Φ, floorₜ) + eps)

    The paper's floor is a constant γ' to be tuned. Here its unit is the spread of v̂ under noise alone,
    which has mean Φ and standard deviation Φ·√(2Σw²), w being the weights of the average
    (`noise_spread`); floorₜ is `floor` of these: with the default β₂ 1.4Φ at the first step and 0.03Φ in
    the long run. With floor 1 a coordinate without signal moves by up to 1.3·lr per step (root mean
    square), about as far as Adam moves a coordinate that is all signal; with a smaller floor it moves
    further by chance, by 150·lr with a γ' of 1e-6·Φ. Without noise the floor is 0, and this is Adam.

    Free post-processing: reads g̃, earlier g̃ and Φ, nothing else.

    Args:
        params: parameters that it updates.
        lr: learning rate, above 0.
        betas: decay of the averages of g̃ and g̃², each in [0, 1).
        eps: added to the root, 0 or more.
        weight_decay: coupled, 0 or more.
        noise_variance: Φ, 0 or more.
        floor: least second moment, in standard deviations of v̂ under noise alone; above 0.

    Raises:
        ValueError: a setting is out of its range.
    """

    BUFFERS = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        noise_variance: float,
        floor: float = 1.0,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "noise_variance": noise_variance,
            "floor": floor,
        }
        super().__init__(params, defaults)

    def _update(
        self, group: Settings, step: int, weights: Tensors, grads: Tensors, *buffers: Tensors
    ) -> None:
        exp_avg, exp_avg_sq = buffers
        beta1, beta2 = group["betas"]
        grads = with_decay(weights, grads, group["weight_decay"])
        update_moments(exp_avg, exp_avg_sq, grads, group["betas"])
        scale = denoised_root(exp_avg_sq, 1.0, group, step, group["eps"])
        size = group["lr"] * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        torch._foreach_addcdiv_(weights, exp_avg, scale, -size)


def update_moments(
    exp_avg: Tensors, exp_avg_sq: Tensors, grads: Tensors, betas: tuple[float, float]
) -> None:
    """Update Adam's averages: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g² (arXiv 1412.6980, algorithm 1)."""
    torch._foreach_lerp_(exp_avg, grads, 1 - betas[0])
    torch._foreach_mul_(exp_avg_sq, betas[1])
    torch._foreach_addcmul_(exp_avg_sq, grads, grads, 1 - betas[1])


def noise_spread(beta2: float, step: int) -> float:
    """Return √(2Σw²), the relative standard deviation of the average of `step` squared Gaussians.

    The average has weights w_i = (1 − β₂)β₂^(t−i)/(1 − β₂ᵗ), and the variance of a square is twice the
    square of its mean; Σw² = (1 − β₂)(1 + β₂ᵗ)/((1 + β₂)(1 − β₂ᵗ)).
    """
    power = beta2**step
    return math.sqrt(2 * (1 - beta2) * (1 + power) / ((1 + beta2) * (1 - power)))


def denoised_root(square: Tensors, noise: float, group: Settings, step: int, eps: float) -> Tensors:
    """Return √(1 − β₂ᵗ)·(√max(square/(1 − β₂ᵗ) − noise·Φ, floorₜ) + eps), as new tensors.

    Args:
        square: an average of squares that starts at 0, without bias correction.
        noise: share of Φ in the corrected average.
        group: `betas`, `noise_variance` Φ and `floor`.
        step: t.
        eps: added to the root.
    """
    _, beta2 = group["betas"]
    unbias = 1 - beta2**step  # a factor on all terms, so that squares need no correction
    mean = unbias * noise * group["noise_variance"]
    result = list(torch._foreach_sub(square, mean))
    torch._foreach_clamp_min_(result, mean * group["floor"] * noise_spread(beta2, step))
    torch._foreach_sqrt_(result)
    torch._foreach_add_(result, eps * math.sqrt(unbias))
    return result
