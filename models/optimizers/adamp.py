"""AdamP: Adam that does not lengthen weights whose length has no effect."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from models.optimizers.base import FirstOrder, Settings, Tensors, adam_change


class AdamP(FirstOrder):
    """AdamP (Heo et al. 2021, arXiv 2006.08217, algorithm 2).

    With Adam's step p = m̂/(√v̂ + eps) and ŵ = w/(‖w‖ + eps), for weights of two or more dimensions: if
    |cos(g_r, w_r)| < delta/√(length of a row) in all rows r, these are taken for scale-invariant, and
    p_r ← p_r − ŵ_r(ŵ_r·p_r); else, if |cos(g, w)| < delta/√size for the whole weight,
    p ← p − ŵ(ŵ·p). Then, with wd_ratio only where p was projected:

        w ← (1 − lr·weight_decay·wd_ratio)·w − lr·p

    Args:
        params: parameters that it updates.
        lr: learning rate, above 0.
        betas: decay of the averages of g and g², each in [0, 1).
        eps: added to roots and norms, 0 or more.
        weight_decay: decoupled, 0 or more.
        delta: threshold of the cosine; 0 never projects.
        wd_ratio: share of the weight decay that projected weights get, 0 or more.

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
        delta: float = 0.1,
        wd_ratio: float = 0.1,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "delta": delta,
            "wd_ratio": wd_ratio,
        }
        super().__init__(params, defaults)

    def _update(
        self, group: Settings, step: int, weights: Tensors, grads: Tensors, *buffers: Tensors
    ) -> None:
        exp_avg, exp_avg_sq = buffers
        change = adam_change(exp_avg, exp_avg_sq, grads, group["betas"], group["eps"], step)
        lr, decay = group["lr"], group["lr"] * group["weight_decay"]
        move(weights, grads, change, lr, decay, group, self._scratch(weights))


def move(
    weights: Tensors,
    grads: Tensors,
    change: Tensors,
    size: float,
    decay: float,
    group: Settings,
    scratch: Tensor,
) -> None:
    """Update w ← (1 − decay)·w − size·p, with p projected and decay reduced if w is scale-invariant.

    The change p is only read, since it may be the momentum itself. Scratch is working memory.
    """
    invariant = _invariant(weights, grads, group["delta"], scratch)
    for place, rows in invariant.items():
        project(weights[place], change[place], rows, size, decay, group, scratch)
    rest = [weight for place, weight in enumerate(weights) if place not in invariant]
    if decay and rest:
        torch._foreach_mul_(rest, 1 - decay)
    torch._foreach_add_(weights, change, alpha=-size)


def project(
    weight: Tensor,
    change: Tensor,
    rows: int,
    size: float,
    decay: float,
    group: Settings,
    scratch: Tensor,
) -> None:
    """Scale w so that w ← w − size·p with p as it is equals a projected step: ŵ(ŵ·p) is a multiple of w.

    Each of the `rows` of w is projected by itself; p is only read.
    """
    w, p = weight.reshape(rows, -1), change.reshape(rows, -1)
    along = torch.mul(w, p, out=scratch[: w.numel()].view_as(w)).sum(dim=1)
    square = torch.linalg.vector_norm(w, dim=1).add_(group["eps"]).square_()
    square.clamp_min_(torch.finfo(w.dtype).tiny)  # a row of zeros stays as it is
    scale = along.div_(square).mul_(size).add_(1 - decay * group["wd_ratio"])
    weight.mul_(scale.view(-1, *[1] * (weight.dim() - 1)))


def _invariant(weights: Tensors, grads: Tensors, delta: float, scratch: Tensor) -> dict[int, int]:
    """Return the places of weights taken for scale-invariant, with the number of their rows: R or 1.

    Rows are many and operations on them small, so all weights are computed at once, in tables with one
    line per weight, one column per row, padded with zeros, and a last column for the whole weight.
    """
    shaped = [place for place, weight in enumerate(weights) if weight.dim() > 1]
    if not shaped or delta == 0:
        return {}
    rows = tuple(len(weights[place]) for place in shaped)
    tables = scratch.new_zeros(3, len(rows), max(rows) + 1)
    for line, (place, count) in enumerate(zip(shaped, rows, strict=True)):
        w, g = weights[place].reshape(count, -1), grads[place].reshape(count, -1)
        norm, grad_norm, dot = tables[:, line, :count].unbind()
        torch.linalg.vector_norm(w, dim=1, out=norm)
        torch.linalg.vector_norm(g, dim=1, out=grad_norm)
        torch.sum(torch.mul(w, g, out=scratch[: w.numel()].view_as(w)), dim=1, out=dot)
    tables[:2, :, -1] = torch.linalg.vector_norm(tables[:2], dim=2)
    tables[2, :, -1] = tables[2].sum(dim=1)
    norm, grad_norm, dot = tables.unbind()
    limits = _limits(rows, tuple(weights[place].numel() for place in shaped), scratch.dtype)
    # a difference of products: zeros pass, as a cosine of 0 does; NaN and infinity fail
    small = norm.mul_(grad_norm).mul_(limits.to(norm.device)).mul_(delta).sub_(dot.abs_()) >= 0
    by_rows, whole = torch.stack([small[:, :-1].all(dim=1), small[:, -1]]).tolist()
    return {
        place: count if rowwise else 1
        for place, count, rowwise, all_ in zip(shaped, rows, by_rows, whole, strict=True)
        if rowwise or all_
    }


@lru_cache(maxsize=64)
def _limits(rows: tuple[int, ...], sizes: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return 1/√(length of a row) in every column but the last, which is 1/√size."""
    size = torch.tensor(sizes, dtype=torch.float64)[:, None]
    length = size / torch.tensor(rows)[:, None]
    return torch.cat([length.expand(-1, max(rows)), size], dim=1).rsqrt().to(dtype)
