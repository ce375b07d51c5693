"""Accelerated proximal gradients for a smooth loss and a penalty that need not be convex."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from models.solvers import Solution
from models.solvers.penalties import Floats, Penalty, soft, violation

_SAFE = 0.99
"""Step size, in units of 1/L."""


def minimise(
    gradient: Callable[[Floats], Floats],
    penalty: Penalty,
    start: Floats,
    *,
    lipschitz: float,
    tolerance: float = 1e-10,
    steps: int = 20_000,
) -> Solution:
    """Minimise f + penalty by accelerated gradients (Ghadimi and Lan 2016; Yang, arXiv:2009.10629).

    The smooth part is f − h, whose gradient is Lipschitz with L = max(eigmax ∇²f, bend); the rest is
    λ‖β‖₁. The smooth part need not be convex. Momentum restarts when it points uphill (O'Donoghue and
    Candès 2015, arXiv:1204.3982): a restart when the iterates slow down (arXiv:1503.01243) needs a
    minimal number of steps in between, and took twice as many steps for correlated features.

    Args:
        gradient: ∇f, [F] to [F]; f is convex.
        penalty: the penalty added to f.
        start: initial coefficients, [F].
        lipschitz: largest eigenvalue of the Hessian of f anywhere, 0 or more.
        tolerance: violation at which to stop, 0 or more.
        steps: at most.

    Raises:
        ValueError: a setting is out of its range.
    """
    check_settings(lipschitz, tolerance, steps)
    step, rate = _SAFE / (max(lipschitz, penalty.bend) or 1.0), penalty.strength
    beta = aggregate = np.array(start, dtype=np.float64)
    alpha, done = 1.0, 0
    while done < steps:
        done += 1
        middle = (1 - alpha) * aggregate + alpha * beta
        slopes = gradient(middle) - penalty.concave_gradient(middle)
        beta = soft(beta - step / alpha * slopes, step / alpha * rate)
        before, aggregate = aggregate, soft(middle - step * slopes, step * rate)
        near = np.abs(middle - aggregate).max(initial=0.0) <= step * tolerance
        if near and violation(aggregate, gradient(aggregate), penalty) <= tolerance:
            break
        if (middle - aggregate) @ (aggregate - before) > 0:
            alpha, beta = 1.0, aggregate
        else:
            alpha = 2 / (1 + math.sqrt(1 + 4 / alpha**2))
    left = violation(aggregate, gradient(aggregate), penalty)
    return Solution(aggregate, left, done, left <= tolerance)


def check_settings(lipschitz: float, tolerance: float, steps: int) -> None:
    """Raise a ValueError for the first setting that is out of its range."""
    for name, value in (("lipschitz", lipschitz), ("tolerance", tolerance)):
        if not 0 <= value < math.inf:
            raise ValueError(f"expected {name}={value} to be 0 or more and finite")
    if steps < 1:
        raise ValueError(f"expected steps={steps} to be at least 1")
