"""Penalties that set coefficients to zero: L1, and the non-convex SCAD and MCP, which spare large ones.

Each is λ|β| − h(β), with h convex, even and smooth: a reduction for large coefficients. So a smooth
loss f with any of them is the smooth f − h plus λ‖β‖₁.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Penalty(Protocol):
    """A sum over coefficients of λ|β| − h(β)."""

    @property
    def strength(self) -> float:
        """λ, the slope at 0."""

    @property
    def bend(self) -> float:
        """The largest h″; the proximal operator exists for steps below 1/bend."""

    def value(self, beta: Floats) -> float:
        """The penalty of β, [F]."""

    def concave_gradient(self, beta: Floats) -> Floats:
        """c(β) = h′(β), [F]."""

    def proximal(self, point: Floats, step: float) -> Floats:
        """The u of least ‖u − point‖²/2 + step·penalty(u), [F].

        Raises:
            ValueError: `step` is not below 1/bend, so that there may be two minima.
        """


@dataclass(frozen=True)
class L1:
    """λ|β|, the lasso (Tibshirani 1996).

    Attributes:
        strength: λ, 0 or more.
    """

    strength: float

    def __post_init__(self) -> None:
        _check_strength(self.strength)

    @property
    def bend(self) -> float:
        """0: there is no h."""
        return 0.0

    def value(self, beta: Floats) -> float:
        """λ Σ|β|."""
        return float(self.strength * np.abs(beta).sum())

    def concave_gradient(self, beta: Floats) -> Floats:
        """Zeros."""
        return np.zeros_like(beta)

    def proximal(self, point: Floats, step: float) -> Floats:
        """Soft thresholding."""
        return soft(point, step * self.strength)


@dataclass(frozen=True)
class Scad:
    """Smoothly clipped absolute deviation (Fan and Li 2001): slope λ up to λ, none from aλ on.

    Attributes:
        strength: λ, 0 or more.
        a: where it becomes flat, in λ, above 2; the default is that of Fan and Li.
    """

    strength: float
    a: float = 3.7

    def __post_init__(self) -> None:
        _check_strength(self.strength)
        if not 2 < self.a < math.inf:
            raise ValueError(f"expected a={self.a} to be above 2 and finite")

    @property
    def bend(self) -> float:
        """1/(a − 1)."""
        return 1 / (self.a - 1)

    def value(self, beta: Floats) -> float:
        """Σ λ|β| − h(β)."""
        size, rate = np.abs(beta), self.strength
        # h is 0 up to λ, quadratic up to aλ, and then so steep that the penalty stays (a + 1)λ²/2
        middle = (np.minimum(size, self.a * rate) - rate).clip(0) ** 2 / (2 * (self.a - 1))
        beyond = rate * (size - self.a * rate).clip(0)
        return float((rate * size - middle - beyond).sum())

    def concave_gradient(self, beta: Floats) -> Floats:
        """0 up to λ, sgn(β)(|β| − λ)/(a − 1) up to aλ, then λ sgn(β)."""
        slope = (np.abs(beta) - self.strength) / (self.a - 1)
        return np.asarray(np.sign(beta) * slope.clip(0, self.strength))

    def proximal(self, point: Floats, step: float) -> Floats:
        """Soft thresholding near 0, less of it further out, none from aλ on (Fan and Li, eq. 2.8)."""
        _check_step(step, self.bend)
        size, rate = np.abs(point), self.strength
        between = soft(point, self.a * rate * step / (self.a - 1)) / (1 - step / (self.a - 1))
        near = np.where(size <= (1 + step) * rate, soft(point, step * rate), between)
        return np.where(size > self.a * rate, point, near)


@dataclass(frozen=True)
class Mcp:
    """Minimax concave penalty (Zhang 2010, arXiv:1002.4734): its slope falls evenly from λ at 0.

    Attributes:
        strength: λ, 0 or more.
        gamma: where it becomes flat, in λ, above 1.
    """

    strength: float
    gamma: float = 2.0

    def __post_init__(self) -> None:
        _check_strength(self.strength)
        if not 1 < self.gamma < math.inf:
            raise ValueError(f"expected gamma={self.gamma} to be above 1 and finite")

    @property
    def bend(self) -> float:
        """1/γ."""
        return 1 / self.gamma

    def value(self, beta: Floats) -> float:
        """Σ λ|β| − β²/(2γ) up to γλ, then γλ²/2."""
        size = np.minimum(np.abs(beta), self.gamma * self.strength)
        return float((self.strength * size - size**2 / (2 * self.gamma)).sum())

    def concave_gradient(self, beta: Floats) -> Floats:
        """β/γ up to γλ, then λ sgn(β)."""
        return np.clip(beta / self.gamma, -self.strength, self.strength)

    def proximal(self, point: Floats, step: float) -> Floats:
        """Firm thresholding (Gao and Bruce 1997)."""
        _check_step(step, self.bend)
        firm = soft(point, step * self.strength) / (1 - step / self.gamma)
        return np.where(np.abs(point) > self.gamma * self.strength, point, firm)


def soft(point: Floats, threshold: float) -> Floats:
    """Return S(x, t) = sgn(x)(|x| − t)₊, the proximal operator of t|x|."""
    return point - np.clip(point, -threshold, threshold)


def strong(slopes: Floats, new: float, old: float) -> NDArray[np.bool_]:
    """Return which coefficients may become nonzero as λ falls: the sequential strong rule.

    |∇_j f| ≥ 2λ_new − λ_old (Tibshirani et al. 2012, arXiv:1011.2234). A heuristic: it assumes that
    slopes change no faster than λ, so those left out must be checked at the new solution.

    Args:
        slopes: ∇f at the solution for the old λ, [F].
        new: the next λ.
        old: the λ of the solution, larger.
    """
    return np.asarray(np.abs(slopes) >= 2 * new - old)


def violation(beta: Floats, slopes: Floats, penalty: Penalty) -> float:
    """Return the distance of β from stationary: the largest of 0 from ∂f + λ∂|β| − c(β).

    Args:
        beta: coefficients, [F].
        slopes: ∇f(β), [F].
        penalty: the penalty added to f.
    """
    rest = slopes - penalty.concave_gradient(beta)
    rate = penalty.strength
    off = np.where(beta == 0, (np.abs(rest) - rate).clip(0), np.abs(rest + rate * np.sign(beta)))
    return float(off.max(initial=0.0))


def _check_strength(strength: float) -> None:
    if not 0 <= strength < math.inf:
        raise ValueError(f"expected strength={strength} to be 0 or more and finite")


def _check_step(step: float, bend: float) -> None:
    if not 0 < step < 1 / bend:
        raise ValueError(f"expected step={step} to be above 0 and below {1 / bend}")
