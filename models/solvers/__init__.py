"""Solvers for convex and sparse heads: arrays in, arrays out, in double precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.registry import HEADS


@dataclass(frozen=True)
class Solution:
    """What minimises a smooth loss plus a penalty, or is stationary where that is not convex.

    Attributes:
        beta: coefficients, [F]; those left out are exactly 0.
        violation: how far 0 is from the slopes of loss and penalty, in the worst coefficient.
        steps: taken.
        converged: whether the violation is within the tolerance.
    """

    beta: NDArray[np.float64]
    violation: float
    steps: int
    converged: bool


def choose(solver: str | None, model: str) -> str:
    """The solver of a head: the one asked for, or the usual one.

    Args:
        solver: its name, or None.
        model: a name in `models.registry.HEADS`.

    Raises:
        ModelError: `solver` cannot fit the head.
    """
    takes = HEADS[model]
    if solver is None or solver in takes:
        return solver or takes[0]
    fits = " and ".join(name for name, solvers in HEADS.items() if solver in solvers)
    known = f"is for {fits}" if fits else "is unknown"
    raise ModelError(f"solver {solver!r} {known}; {model} takes {' or '.join(takes)}")
