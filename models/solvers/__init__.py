"""Solvers for convex and sparse heads: arrays in, arrays out, in double precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.registry import HEADS


@dataclass(frozen=True)
class Solution:
    """A minimum of a smooth loss plus a penalty, or a stationary point if the sum is not convex.

    Attributes:
        beta: coefficients, [F]; those left out are exactly 0.
        violation: largest distance of 0 from the slopes of loss plus penalty over the coefficients.
        steps: number of steps taken.
        converged: whether the violation is within the tolerance.
    """

    beta: NDArray[np.float64]
    violation: float
    steps: int
    converged: bool


def choose(solver: str | None, model: str) -> str:
    """Return the solver of a head: `solver`, or its default.

    Args:
        solver: a name, or None for the default.
        model: a name in `models.registry.HEADS`.

    Raises:
        ModelError: `solver` cannot fit the head.
    """
    choice = HEADS[model]
    if solver is None or solver in choice:
        return solver or choice[0]
    fits = " and ".join(name for name, solvers in HEADS.items() if solver in solvers)
    known = f"is for {fits}" if fits else "is unknown"
    raise ModelError(f"solver {solver!r} {known}; {model} takes {' or '.join(choice)}")
