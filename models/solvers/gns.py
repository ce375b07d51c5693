"""Gradient-normalized smoothness: second-order steps whose radius adapts to the gradient.

The radius γ(x) is the largest within which the curvature H predicts gradients well enough,
‖∇f(x+h) − ∇f(x) − Hh‖ ≤ ‖∇f(x)‖‖h‖/γ. A step is damped by λ = ‖∇f‖/γ, which keeps it within the
radius (‖d‖ ≤ γ, as H ⪰ 0), and γ is found by trial. H need not be the Hessian: Fisher information and
Gauss-Newton matrices suffice, if their error is small where the gradient is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

Floats = NDArray[np.float64]

_SMALLEST = 1e-9
_WITHIN = 1 + 1e-8
"""Rounding allowed in ‖d‖ ≤ γ: where H vanishes it is an equality."""


@dataclass(frozen=True)
class Step:
    """One accepted step.

    Attributes:
        radius: γ, the radius of the search.
        damping: λ = ‖g‖/γ, added to the diagonal of the curvature.
        length: ‖d‖ ≤ γ.
        value: f after it.
        slope: ‖g‖ after it.
    """

    radius: float
    damping: float
    length: float
    value: float
    slope: float


@dataclass(frozen=True)
class Minimum:
    """The end point of the steps.

    Attributes:
        point: x, [F].
        value: f(x).
        slope: ‖∇f(x)‖.
        converged: whether the slope is within the tolerance.
        history: the accepted steps, in order; f falls with each.
    """

    point: Floats
    value: float
    slope: float
    converged: bool
    history: tuple[Step, ...]


def minimise(
    value: Callable[[Floats], float],
    gradient: Callable[[Floats], Floats],
    curvature: Callable[[Floats], Floats],
    start: Floats,
    *,
    radius: float = 1.0,
    tolerance: float = 1e-8,
    steps: int = 200,
    tries: int = 40,
) -> Minimum:
    """Minimise f by algorithm 1 of Semenov, Jaggi and Doikov (2026, arXiv:2506.13710), Euclidean norm.

    d = −(H + λI)⁻¹g with λ = ‖g‖/γ; accepted if f − f⁺ ≥ ‖g⁺‖²/(8λ), then γ doubles; else γ is halved.
    It is halved also where H + λI is not positive definite, where an indefinite H leads out of the
    radius, and where f is not finite.

    Args:
        value: f, [F] to a number.
        gradient: ∇f, [F] to [F].
        curvature: H, [F] to [F, F], symmetric; positive semidefinite for every guarantee.
        start: a point at which f is finite, [F].
        radius: the first γ, above 0.
        tolerance: slope at which to stop, 0 or more.
        steps: accepted steps, at most.
        tries: radii tried for one step, at most.

    Raises:
        ValueError: a setting is out of its range, or f or ∇f is not finite at the start.
    """
    for name, setting in (("radius", radius), ("steps", steps), ("tries", tries)):
        if not 0 < setting < math.inf:
            raise ValueError(f"expected {name}={setting} to be above 0 and finite")
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"expected tolerance={tolerance} to be 0 or more and finite")
    point = np.array(start, dtype=np.float64)
    # far out f may overflow: such points are rejected without a warning
    with np.errstate(over="ignore", invalid="ignore"):
        now, slopes = value(point), gradient(point)
        if not (math.isfinite(now) and np.isfinite(slopes).all()):
            raise ValueError("f is not finite at the start; start elsewhere or scale f")
        history: list[Step] = []
        while len(history) < steps and _norm(slopes) > tolerance:
            bend = curvature(point)
            for _ in range(tries):
                damping = _norm(slopes) / radius
                move = _damped(bend, slopes, damping)
                if move is not None and _norm(move) <= radius * _WITHIN:
                    after = value(point + move)
                    if after <= now:
                        then = gradient(point + move)
                        if now - after >= _norm(then) ** 2 / (8 * damping):
                            break
                radius /= 2
            else:
                break  # as low as rounding allows
            point, now, slopes = point + move, after, then
            history.append(Step(radius, damping, _norm(move), now, _norm(slopes)))
            radius = max(2 * radius, _SMALLEST)
    return Minimum(point, now, _norm(slopes), _norm(slopes) <= tolerance, tuple(history))


def _damped(bend: Floats, slopes: Floats, damping: float) -> Floats | None:
    """Return −(H + λI)⁻¹g, or None if the matrix is not positive definite."""
    try:
        damped = bend + damping * np.eye(len(slopes))
        factor = cho_factor(damped, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        return None
    return np.asarray(-cho_solve(factor, slopes, check_finite=False))


def _norm(vector: Floats) -> float:
    return float(np.linalg.norm(vector))
