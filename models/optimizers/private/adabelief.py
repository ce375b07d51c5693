"""DP-AdaBelief: AdaBelief without the noise in its second moment."""

from __future__ import annotations

import math

import torch
from torch.optim.optimizer import ParamsT

from models.optimizers.adabelief import shrink, update_belief
from models.optimizers.base import FirstOrder, Settings, Tensors
from models.optimizers.private.adam import denoised_root


class DpAdaBelief(FirstOrder):
    """AdaBelief (arXiv 2010.07468) with the share of the noise subtracted from its second moment.

    For noise alone of variance Φ the surprise r = g̃ − m has a known mean square, E[rₜ²] = cₜΦ with

        cₜ = β₁²·(1 + (1 − β₁)(1 − β₁^(2(t−1)))/(1 + β₁)),

    0.81 at first and 0.853 in the long run if β₁ is 0.9. With c̄ₜ its average, weighted as that of r²:

        θ ← (1 − lr·weight_decay)·θ,   θ ← θ − lr·m̂/(√max(ŝ − c̄ₜΦ, floorₜ) + eps)

    floorₜ is `floor` standard deviations of ŝ under noise alone, c̄ₜΦ·√(2Σw²), as in `DpAdam`. (This
    assumes independent surprises, which holds nearly: it is 1 to 3 % more if β₁ is 0.9.) Without noise
    this is AdaBelief. Not published elsewhere.

    Free post-processing: reads g̃, earlier g̃ and Φ, nothing else.

    Args:
        params: parameters that it updates.
        lr: learning rate, above 0.
        betas: decay of the averages of g̃ and (g̃ − m)², each in [0, 1).
        eps: added to the second average at every step, and to its root; 0 or more.
        weight_decay: decoupled, 0 or more.
        noise_variance: Φ, 0 or more.
        floor: least second moment, in standard deviations of ŝ under noise alone; above 0.

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
        exp_avg, exp_avg_var = buffers
        beta1, beta2 = group["betas"]
        update_belief(exp_avg, exp_avg_var, grads, group["betas"], group["eps"])
        shrink(weights, group["lr"] * group["weight_decay"])
        noise = noise_share(group["betas"], step)
        scale = denoised_root(exp_avg_var, noise, group, step, group["eps"])
        size = group["lr"] * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        torch._foreach_addcdiv_(weights, exp_avg, scale, -size)


def noise_share(betas: tuple[float, float], step: int) -> float:
    """Return c̄ₜ: mean of the bias-corrected ŝ, over Φ, if g̃ is noise alone.

    The average of cᵢ = β₁²(1 + k − k·β₁^(2(i−1))), k = (1 − β₁)/(1 + β₁), with weights proportional to
    β₂^(t−i), in closed form.
    """
    beta1, beta2 = betas
    k, square = (1 - beta1) / (1 + beta1), beta1**2
    if math.isclose(beta2, square):
        series = step * beta2 ** (step - 1)
    else:
        series = (beta2**step - square**step) / (beta2 - square)
    return square * (1 + k - k * series * (1 - beta2) / (1 - beta2**step))
