"""DP-SGDP: SGDP with declared scale-invariant weights, since noise hides them."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor
from torch.optim.optimizer import ParamsT

from models.optimizers.base import Settings, Tensors
from models.optimizers.private.adamp import Declared
from models.optimizers.sgdp import decay_of, update_momentum


class DpSgdp(Declared):
    """SGDP (arXiv 2006.08217) with declared weights.

    With the momentum b ← momentum·b + (1 − dampening)·g̃ as the step p, every row w_r of a declared
    weight gets p_r ← p_r − ŵ_r(ŵ_r·p_r), ŵ = w/(‖w‖ + eps), and wd_ratio of the weight decay:

        w ← (1 − lr·weight_decay·wd_ratio/(1 − momentum))·w − lr·p

    All others get p itself and all of the decay. b itself is never projected. It is linear in g̃, so
    noise of mean 0 has mean 0 in b too: there is no bias to remove, and Φ has no effect.

    Free post-processing: reads g̃, earlier g̃ and the weights made of these, nothing else.

    Args:
        params: parameters that it updates.
        lr: learning rate, above 0.
        momentum: in [0, 1).
        dampening: in [0, 1].
        weight_decay: decoupled, 0 or more.
        wd_ratio: share of the weight decay that declared weights get, 0 or more.
        eps: added to norms, 0 or more.
        noise_variance: Φ, 0 or more; a setting without effect, as all private forms have it.
        scale_invariant: parameters whose rows' lengths have no effect, such as those that are
            normalised before use.

    Raises:
        ValueError: a setting is out of its range, or a declared parameter is without rows or unknown.
    """

    BUFFERS = ("momentum_buffer",)

    def __init__(
        self,
        params: ParamsT,
        lr: float,
        momentum: float = 0.9,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        wd_ratio: float = 0.1,
        eps: float = 1e-8,
        *,
        noise_variance: float,
        scale_invariant: Iterable[Tensor] = (),
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "wd_ratio": wd_ratio,
            "eps": eps,
            "noise_variance": noise_variance,
        }
        super().__init__(params, defaults, scale_invariant)

    def _update(
        self, group: Settings, step: int, weights: Tensors, grads: Tensors, *buffers: Tensors
    ) -> None:
        (momentum,) = buffers
        update_momentum(momentum, grads, group)
        self._move(group, weights, momentum, group["lr"], decay_of(group))
