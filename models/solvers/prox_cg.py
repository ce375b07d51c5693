"""Conjugate gradients on the proximal residual, for a smooth loss and a penalty.

The residual is s(x) = x − prox(x − ρ∇f(x)), 0 at the solution; without a penalty it is ρ∇f, and the
method is that of Hager and Zhang.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from models.solvers import Solution
from models.solvers.accelerated import check_settings
from models.solvers.penalties import Floats, Penalty, violation

_ETA = 0.01
"""Limits how far directions point back (the value of Hager and Zhang)."""
_DOUBLINGS = 40
_SAFE = 0.99
_RESTART = 20
"""Without restarts, correlated features took a hundred times as many steps, or did not converge."""


def minimise(
    gradient: Callable[[Floats], Floats],
    penalty: Penalty,
    start: Floats,
    *,
    lipschitz: float,
    tolerance: float = 1e-10,
    steps: int = 5_000,
) -> Solution:
    """Minimise f + penalty by proximal Hager-Zhang conjugate gradients (2005, SIAM J. Optim. 16).

    Directions are d = −s + max(β, −1/(‖d‖ min(η, ‖s‖)))·d with
    β = ⟨y − 2d‖y‖²/⟨d,y⟩, s⟩/⟨d,y⟩ and y the change of s; along each a root of ⟨s(x + αd), d⟩ is
    found by Brent's method, to a tenth: more precision takes no fewer steps. Every 20 steps it restarts
    at the proximal point of the iterate. That of the last iterate is returned: it has exact zeros.

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
    # twice the bend: the proximal operator is then at most twice as steep as soft thresholding
    rho = _SAFE / (max(lipschitz, 2 * penalty.bend) or 1.0)

    def proximal(point: Floats) -> Floats:
        return penalty.proximal(point - rho * gradient(point), rho)

    point = np.array(start, dtype=np.float64)
    best = proximal(point)
    rest = point - best
    direction, alpha, done = -rest, 1.0, 0
    while done < steps:
        near = np.abs(rest).max(initial=0.0) <= rho * tolerance
        if near and violation(best, gradient(best), penalty) <= tolerance:
            break
        done += 1
        if rest @ direction >= 0:
            direction = -rest
        root = _root(point, direction, proximal, alpha)
        if root is None:  # flat within the search: go to the proximal point
            direction, root = -rest, 1.0
        else:
            alpha = root
        point = point + root * direction
        best = proximal(point)
        if done % _RESTART == 0:
            point, best = best, proximal(best)
            rest = point - best
            direction = -rest
            continue
        previous, rest = rest, point - best
        direction = _conjugate(direction, rest, rest - previous) - rest
    left = violation(best, gradient(best), penalty)
    return Solution(best, left, done, left <= tolerance)


def _root(
    point: Floats, direction: Floats, proximal: Callable[[Floats], Floats], first: float
) -> float | None:
    """Return an α with ⟨s(point + α·direction), direction⟩ = 0, or None if none is bracketed."""

    def slope(alpha: float) -> float:
        there = point + alpha * direction
        return float((there - proximal(there)) @ direction)

    low, high = 0.0, first
    for _ in range(_DOUBLINGS):
        if slope(high) >= 0:
            break
        low, high = high, 2 * high
    else:
        return None
    if slope(low) >= 0:  # the direction descends by less than rounding
        return None
    return float(brentq(slope, low, high, xtol=1e-12, rtol=0.1))


def _conjugate(direction: Floats, rest: Floats, change: Floats) -> Floats:
    """Return the part of the last direction in the next one."""
    along = float(direction @ change)
    if not along > 0:  # ⟨s, d⟩ rises towards its root, but for rounding
        return np.zeros_like(direction)
    beta = float((change - 2 * direction * (change @ change) / along) @ rest) / along
    size = float(np.linalg.norm(direction)) * min(_ETA, float(np.linalg.norm(rest)) or _ETA)
    return np.asarray(max(beta, -1 / size) * direction)
