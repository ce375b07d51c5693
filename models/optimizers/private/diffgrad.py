"""DP-diffGrad: diffGrad with friction in units of the noise on the gradient."""

from __future__ import annotations

import math

import torch
from torch.optim.optimizer import ParamsT

from models.optimizers.base import FirstOrder, Settings, Tensors, with_decay
from models.optimizers.diffgrad import friction
from models.optimizers.private.adam import denoised_root, update_moments


class DpDiffGrad(FirstOrder):
    """diffGrad (arXiv 1909.11015) with friction and second moment corrected for noise.

    The published friction compares changes of the gradient with 1, whatever the gradient's unit.
    Noise of standard deviation 0.01 then gives a friction of 0.501 everywhere: Adam at half its
    learning rate. Two noisy gradients differ by noise of variance 2Φ, so here

        ξ = sigmoid(|g̃ₜ₋₁ − g̃ₜ|/√(2Φ)),   θ ← θ − lr·ξ·m̂/(√max(v̂ − Φ, floorₜ) + eps/√(1 − β₂ᵗ))

    and ξ is 0.68 on average where the gradient stands still under its noise, more where it changes by
    more than that. v̂ is Adam's and holds the same +Φ: it is corrected as in `DpAdam`, with its floor.
    eps is added before the bias is corrected, as in diffGrad.

    Without noise the unit is 1 as published, and this is diffGrad. This is not the limit of little
    noise, where ξ tends to 1 and the update to that of Adam. Not published elsewhere.

    Free post-processing: reads g̃, earlier g̃ and Φ, nothing else.

    Args:
        params: parameters that it updates.
        lr: learning rate, above 0.
        betas: decay of the averages of g̃ and g̃², each in [0, 1).
        eps: added to the root of the second moment, 0 or more.
        weight_decay: coupled, 0 or more.
        noise_variance: Φ, 0 or more.
        floor: least second moment, in standard deviations of v̂ under noise alone; above 0.

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
        exp_avg, exp_avg_sq, previous = buffers
        beta1, beta2 = group["betas"]
        grads = with_decay(weights, grads, group["weight_decay"])
        update_moments(exp_avg, exp_avg_sq, grads, group["betas"])
        bias = math.sqrt(1 - beta2**step)
        scale = denoised_root(exp_avg_sq, 1.0, group, step, group["eps"] / bias)
        slowed = friction(previous, grads, math.sqrt(2 * group["noise_variance"]) or 1.0)
        torch._foreach_mul_(slowed, exp_avg)
        size = group["lr"] * bias / (1 - beta1**step)
        torch._foreach_addcdiv_(weights, slowed, scale, -size)
        torch._foreach_copy_(previous, grads)
