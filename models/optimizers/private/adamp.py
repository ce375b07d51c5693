"""DP-AdamP: AdamP with declared scale-invariant weights, since noise hides them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from models.optimizers.adamp import project
from models.optimizers.base import FirstOrder, Settings, Tensors
from models.optimizers.private.adam import denoised_root, update_moments


class Declared(FirstOrder):
    """An optimizer with parameters whose rows are declared to be scale-invariant.

    AdamP detects them by the cosine of gradient and weight, which is near 0 for any weight once noise is
    most of the gradient: it then detects 8 % of all weights, scale-invariant or not, by chance. How a
    network uses its weights is known, and public. Declared parameters are in separate groups, with
    `scale_invariant` set.

    Args:
        params: tensors, or groups with their own settings.
        defaults: settings.
        scale_invariant: some of the parameters, of two or more dimensions.

    Raises:
        ValueError: a declared parameter has no rows, or is not among the parameters.
    """

    def __init__(
        self, params: ParamsT, defaults: Settings, scale_invariant: Iterable[Tensor]
    ) -> None:
        groups = _split(params, list(scale_invariant))
        super().__init__(groups, {**defaults, "scale_invariant": False})

    def add_param_group(self, param_group: Settings) -> None:
        """Add parameters; if `scale_invariant` is set, their rows are projected."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        flat = [tuple(p.shape) for p in group["params"] if p.dim() < 2]
        if group["scale_invariant"] and flat:
            self.param_groups.pop()
            raise ValueError(
                f"expected scale_invariant parameters to have rows, got shape={flat[0]}; "
                "declare weights of 2 or more dimensions"
            )

    def _move(
        self, group: Settings, weights: Tensors, change: Tensors, size: float, decay: float
    ) -> None:
        """Update w ← (1 − decay)·w − size·p, with p projected and decay reduced if w is declared."""
        if group["scale_invariant"]:
            scratch = self._scratch(weights)
            for weight, step in zip(weights, change, strict=True):
                project(weight, step, len(weight), size, decay, group, scratch)
        elif decay:
            torch._foreach_mul_(weights, 1 - decay)
        torch._foreach_add_(weights, change, alpha=-size)


class DpAdamP(Declared):
    """AdamP (arXiv 2006.08217) with declared weights and Adam's second moment without the noise.

    With p = m̂/(√max(v̂ − Φ, floorₜ) + eps), floor and all as in `DpAdam`, every row w_r of a declared
    weight gets p_r ← p_r − ŵ_r(ŵ_r·p_r), ŵ = w/(‖w‖ + eps), and wd_ratio of the weight decay:

        w ← (1 − lr·weight_decay·wd_ratio)·w − lr·p

    All others get p itself and all of the decay. Without noise: AdamP that detects the declared weights.

    Free post-processing: reads g̃, earlier g̃, the weights made of these, and Φ, nothing else.

    Args:
        params: parameters that it updates.
        lr: learning rate, above 0.
        betas: decay of the averages of g̃ and g̃², each in [0, 1).
        eps: added to roots and norms, 0 or more.
        weight_decay: decoupled, 0 or more.
        wd_ratio: share of the weight decay that declared weights get, 0 or more.
        noise_variance: Φ, 0 or more.
        floor: least second moment, in standard deviations of v̂ under noise alone; above 0.
        scale_invariant: parameters whose rows' lengths have no effect, such as those that are
            normalised before use.

    Raises:
        ValueError: a setting is out of its range, or a declared parameter is without rows or unknown.
    """

    BUFFERS = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        wd_ratio: float = 0.1,
        *,
        noise_variance: float,
        floor: float = 1.0,
        scale_invariant: Iterable[Tensor] = (),
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "wd_ratio": wd_ratio,
            "noise_variance": noise_variance,
            "floor": floor,
        }
        super().__init__(params, defaults, scale_invariant)

    def _update(
        self, group: Settings, step: int, weights: Tensors, grads: Tensors, *buffers: Tensors
    ) -> None:
        exp_avg, exp_avg_sq = buffers
        beta1, beta2 = group["betas"]
        update_moments(exp_avg, exp_avg_sq, grads, group["betas"])
        change = denoised_root(exp_avg_sq, 1.0, group, step, group["eps"])
        torch._foreach_reciprocal_(change)  # in place: allocating takes longer than an operation
        torch._foreach_mul_(change, exp_avg)
        size = group["lr"] * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        self._move(group, weights, change, size, group["lr"] * group["weight_decay"])


def _split(params: ParamsT, declared: Tensors) -> list[Settings]:
    """Return groups in which either all parameters are declared or none is."""
    given: list[Any] = list(params)
    groups = given if given and isinstance(given[0], dict) else [{"params": given}]
    missing, result = {id(tensor): tuple(tensor.shape) for tensor in declared}, []
    names = set(missing)
    for group in groups:
        plain: list[Any] = []
        special: list[Any] = []
        members = group["params"]
        for member in [members] if isinstance(members, Tensor) else members:
            name = id(member[1] if isinstance(member, tuple) else member)
            (special if name in names else plain).append(member)
            missing.pop(name, None)
        if plain:
            result.append({**group, "params": plain})
        if special:
            result.append({**group, "params": special, "scale_invariant": True})
    if missing:
        shape = next(iter(missing.values()))
        raise ValueError(f"expected scale_invariant, of shape={shape}, to be among the parameters")
    return result
