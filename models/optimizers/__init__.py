"""Optimizers by name. To add one: a file with a `torch.optim.Optimizer`, and a line in `NAMES`."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from models.errors import ModelError

NAMES: dict[str, type[Optimizer]] = {"adam": Adam, "adamw": AdamW, "sgd": SGD}


def check(name: str) -> None:
    """Raise a ModelError that lists the names, and guesses one, if `name` is unknown."""
    if name in NAMES:
        return
    close = difflib.get_close_matches(name, NAMES, n=1)
    guess = f"; did you mean {close[0]!r}?" if close else ""
    raise ModelError(f"optimizer={name!r} is unknown{guess} (known: {', '.join(NAMES)})")


def build(name: str, params: Iterable[nn.Parameter], lr: float, **options: Any) -> Optimizer:
    """The optimizer called `name` over `params`.

    Args:
        name: a key of `NAMES`.
        params: what it updates.
        lr: learning rate, above 0.
        **options: further arguments of that optimizer, such as `weight_decay`.

    Raises:
        ModelError: unknown name or option, or a value the optimizer refuses.
    """
    check(name)
    taken = inspect.signature(NAMES[name]).parameters
    unknown = [option for option in options if option not in taken]
    if unknown:
        raise ModelError(f"optimizer {name!r} takes no option {unknown[0]!r}")
    if not lr > 0:
        raise ModelError(f"learning_rate={lr} must be above 0")
    make: Any = NAMES[name]  # each class has its own arguments: checked against the signature above
    try:
        result: Optimizer = make(params, lr=lr, **options)
    except ValueError as error:
        raise ModelError(f"optimizer {name!r}: {error}") from error
    return result
