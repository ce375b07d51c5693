"""The registry of optimizers. To add one: a file with a class, and a line here.

Under gradient perturbation an optimizer is free if it reads only the noised gradient, earlier weights
and public figures. One that reads a loss or another gradient of the data is not, and is refused there.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from models.errors import ModelError
from models.optimizers.adabelief import AdaBelief
from models.optimizers.adamp import AdamP
from models.optimizers.diffgrad import DiffGrad
from models.optimizers.private import DpAdaBelief, DpAdam, DpAdamP, DpDiffGrad, DpSgdp
from models.optimizers.sgdp import SGDP
from models.optimizers.tract import TrAct
from models.registry import BLEND, HEADS, NETWORKS

FIRST_ORDER: dict[str, type[Optimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "sgd": SGD,
    "diffgrad": DiffGrad,
    "adabelief": AdaBelief,
    "adamp": AdamP,
    "sgdp": SGDP,
}
"""For networks, under every mechanism."""
NOISE_AWARE: dict[str, Callable[..., Optimizer]] = {
    "dp-adam": DpAdam,
    "dp-adabelief": DpAdaBelief,
    "dp-diffgrad": DpDiffGrad,
    "dp-adamp": DpAdamP,
    "dp-sgdp": DpSgdp,
}
"""For networks under gradient perturbation: they know the variance of the noise on the gradient."""
TRACT = "tract"
SOLVERS = tuple(dict.fromkeys(name for names in HEADS.values() for name in names))
"""For convex heads, without noise on the gradients."""
NAMES = (*FIRST_ORDER, *NOISE_AWARE, TRACT, *SOLVERS)


@dataclass(frozen=True)
class Public:
    """Figures about gradients and inputs that an optimizer may read: none comes from uncharged data.

    Attributes:
        noise_variance: Φ = (s·C/B)², of the noise on each coordinate of the mean gradient; None where
            gradients are not noised.
        second_moment: of the network's inputs, [F, F], from public or charged figures; None to use
            those of each batch.
    """

    noise_variance: float | None = None
    second_moment: Tensor | None = None


def check_name(name: str) -> None:
    """Raise a ModelError with the closest name and all names if `name` is unknown."""
    if name in NAMES:
        return
    close = difflib.get_close_matches(name, NAMES, n=1)
    guess = f"; did you mean {close[0]!r}?" if close else ""
    raise ModelError(f"optimizer={name!r} is unknown{guess} (known: {', '.join(NAMES)})")


def allowed(model: str, *, private: bool = False, members: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the names of optimizers of a model; none if it is solved in closed form.

    Args:
        model: a name in `models.registry.NAMES`.
        private: whether gradients are clipped and noised.
        members: of a blend.
    """
    if model == BLEND:
        networks = [name for name in members if name in NETWORKS]
        return allowed(networks[0]) if networks else ()
    if model in NETWORKS:
        return (*FIRST_ORDER, *(NOISE_AWARE if private else ()), TRACT)
    return () if private else HEADS.get(model, ())


def suit(name: str, model: str, *, private: bool, members: tuple[str, ...] = ()) -> None:
    """Raise a ModelError with the reason and the fix if `name` cannot train `model`.

    A model in closed form uses no optimizer, and accepts every name.
    """
    check_name(name)
    choice = allowed(model, private=private, members=members)
    if not choice or name in choice:
        return
    if name in NOISE_AWARE:
        reason = "takes the noise of mechanism=gradient out of its averages, and there is none"
    elif name in SOLVERS:
        heads = " and ".join(head for head, names in HEADS.items() if name in names)
        reason = f"solves the heads of {heads}"
        if private:
            reason += "; it reads the loss again to accept a step, which would have to be charged"
    else:
        reason = f"is for networks, {model} is solved by {' or '.join(choice)}"
    raise ModelError(f"optimizer={name!r} {reason}; choose one of {', '.join(choice)}")


def build(
    name: str,
    model: nn.Module,
    lr: float,
    *,
    weight_decay: float = 0.0,
    public: Public | None = None,
) -> Optimizer:
    """Return the optimizer called `name` over the parameters of a network.

    Args:
        name: one of `FIRST_ORDER`, `NOISE_AWARE`, or `tract`.
        model: the network.
        lr: learning rate, above 0.
        weight_decay: as defined by the optimizer, 0 or more.
        public: figures that it may read.

    Raises:
        ModelError: an unknown name, or a value the optimizer refuses.
    """
    check_name(name)
    if not lr > 0:
        raise ModelError(f"learning_rate={lr} must be above 0")
    figures = public or Public()
    options: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay}
    try:
        if name == TRACT:
            if figures.noise_variance is not None and figures.second_moment is None:
                raise ModelError("optimizer='tract' would read the batch; pass a second moment")
            return TrAct(
                model, Adam(model.parameters(), **options), second_moment=figures.second_moment
            )
        if name in NOISE_AWARE:
            if figures.noise_variance is None:
                raise ModelError(
                    f"optimizer={name!r} needs the noise variance of the gradient; pass it"
                )
            return NOISE_AWARE[name](
                model.parameters(), noise_variance=figures.noise_variance, **options
            )
        if name not in FIRST_ORDER:
            raise ModelError(f"optimizer={name!r} is a solver of heads, not for networks")
        # each class has its own arguments; all of them have these two
        make: Any = FIRST_ORDER[name]
        result: Optimizer = make(model.parameters(), **options)
    except ValueError as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"optimizer {name!r}: {error}") from error
    return result
