"""Accounting of Gaussian noise on counts: epsilon(delta) of an event, and calibration.

There are three privacy curves. `gaussian_delta` is exact for continuous noise and composes exactly
through Σμ². `zcdp_delta` is an upper bound for everything that is ρ-zCDP, the discrete Gaussian
included, and a few per cent loose. `discrete_delta` is an upper bound for the discrete Gaussian, as
tight as the continuous curve at all practical noise levels; claims are made from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr

from dp.budget import Budget
from dp.unit.contribution import ContributionBound

_TIGHT = 1e-10
"""Relative distance of a calibrated value from the exact one, on the safe side."""
_TERMS = 4096
"""Terms of a tail that are summed before the rest is bounded."""


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Return the exact delta(epsilon) of Gaussian noise, μ = Δ₂/σ (Balle and Wang 2018, theorem 8)."""
    # e^ε·Φ(−μ/2−ε/μ) in logarithms: the factor overflows long before the product matters.
    second = math.exp(min(0.0, epsilon + log_ndtr(-mu / 2 - epsilon / mu)))
    return max(0.0, float(ndtr(mu / 2 - epsilon / mu)) - second)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Return the exact epsilon(delta) of Gaussian noise with μ = Δ₂/σ; for k releases μ = √Σμᵢ².

    Example:
        >>> round(gaussian_epsilon(mu=0.5, delta=1e-6), 3)
        2.254
    """
    return smallest_epsilon(lambda epsilon: gaussian_delta(mu, epsilon), delta)


def gaussian_mu(budget: Budget) -> float:
    """Return the largest μ = Δ₂/σ whose delta(epsilon) stays within the budget.

    Example:
        >>> round(gaussian_mu(Budget(epsilon=1.0, delta=1e-6)), 4)
        0.2367
    """

    def excess(log_mu: float) -> float:
        return gaussian_delta(math.exp(log_mu), budget.epsilon) - budget.delta

    return math.exp(brentq(excess, -40.0, 40.0, xtol=1e-14)) * (1 - _TIGHT)


def zcdp_delta(rho: float, epsilon: float) -> float:
    """Return delta(epsilon) of a ρ-zCDP mechanism (Canonne, Kamath, Steinke 2020, proposition 12).

    Any order α gives a valid bound, so the search for the best one need not be exact.
    """
    above = max((epsilon / rho - 1) / 2, 1e-9)  # α − 1, at or below the best one
    for _ in range(40):  # Newton from the left: the slope of the exponent is concave in α
        slope = (2 * above + 1) * rho - epsilon + math.log(above / (above + 1))
        step = -slope / (2 * rho + 1 / (above * (above + 1)))
        if not step > 1e-9 * above:
            break
        above += step
    order = above + 1
    exponent = above * (order * rho - epsilon) + order * math.log1p(-1 / order) - math.log(above)
    return math.exp(min(0.0, exponent))


def zcdp_epsilon(rho: float, delta: float) -> float:
    """Return epsilon(delta) of a ρ-zCDP mechanism; ρ adds up over releases of any kind.

    Example:
        >>> round(zcdp_epsilon(rho=0.1, delta=1e-6), 3)
        2.142
    """
    return smallest_epsilon(lambda epsilon: zcdp_delta(rho, epsilon), delta)


def discrete_rho(sigma: float, bound: ContributionBound) -> float:
    """Return ρ = Δ₂²/(2σ²) of discrete Gaussian noise on counts.

    (Canonne, Kamath, Steinke 2020, theorem 14.)
    """
    return bound.sensitivity**2 / (2 * sigma**2)


def discrete_delta(sigma: float, bound: ContributionBound, epsilon: float) -> float:
    """Return delta(epsilon) of discrete Gaussian noise on a panel of counts, never below the true one.

    With weight 1 the privacy loss of the n = M·K counts that one unit can touch depends on the sum of
    n discrete Gaussians alone (a unit that touches fewer is a marginal of this case). Its law lies
    within a factor e^±τ of one discrete Gaussian of variance nσ², τ = 10·Σ_{k<n} e^(−2π²σ²k/(k+1))
    (Kairouz, Liu, Steinke 2021, theorem 9), whose tails are bounded by integrals. With larger weights,
    or where these bounds do not hold, the zCDP bound alone is used.

    Args:
        sigma: parameter of the discrete Gaussian, in persons.
        bound: what one unit can change.
        epsilon: the epsilon to spend.
    """
    safe = zcdp_delta(discrete_rho(sigma, bound), epsilon)
    cells = bound.cells
    spread = sigma * math.sqrt(cells)
    threshold = epsilon * sigma**2 - cells / 2  # the loss is above epsilon where the sum is above
    if bound.weight != 1 or sigma < 0.5 or threshold < spread + 1:
        return safe
    tau = _lattice_gap(sigma, cells)
    first = math.floor(threshold) + 1
    above = math.exp(tau + _log_tail(first, spread)[1])
    below = math.exp(min(0.0, epsilon - tau + _log_tail(first + cells, spread)[0]))
    # The last term covers the rounding of the difference.
    return min(safe, max(0.0, above - below) + 1e-13 * (1 + epsilon) * above)


def discrete_epsilon(sigma: float, bound: ContributionBound, delta: float) -> float:
    """Return epsilon(delta) of discrete Gaussian noise on a panel, never below the true one.

    Example:
        >>> round(discrete_epsilon(70.0, ContributionBound(intervals=48, regions=2), delta=1e-6), 3)
        0.569
    """
    return smallest_epsilon(lambda epsilon: discrete_delta(sigma, bound, epsilon), delta)


def discrete_sigma(budget: Budget, bound: ContributionBound) -> float:
    """Return the smallest σ, in persons, whose epsilon at the budget's delta is within the budget.

    Example:
        >>> bound = ContributionBound(intervals=48, regions=2)
        >>> round(discrete_sigma(Budget(epsilon=1.0, delta=1e-6), bound), 2)
        41.39
    """
    low = bound.sensitivity / gaussian_mu(budget) * 0.5
    high = low * 8
    while discrete_delta(high, bound, budget.epsilon) > budget.delta:
        high *= 2
    # Bisection that keeps the safe end: the curve is only known to be below, not to be smooth.
    while high > low * (1 + _TIGHT):
        middle = math.sqrt(low * high)
        if discrete_delta(middle, bound, budget.epsilon) <= budget.delta:
            high = middle
        else:
            low = middle
    return high


def smallest_epsilon(curve: Callable[[float], float], delta: float) -> float:
    """Return the smallest epsilon ≥ 0 at which a decreasing curve is at most delta, rounded up."""
    if curve(0.0) <= delta:
        return 0.0
    low, high = 0.0, 1.0
    while curve(high) > delta:
        low, high = high, high * 2
        if high > 1e9:
            return math.inf

    def excess(epsilon: float) -> float:
        return math.log(max(curve(epsilon), 1e-320) / delta)

    root = float(brentq(excess, low, high, rtol=1e-14, xtol=1e-300))
    # The root may lie on either side of the true one; move it to the safe side.
    nudge = 0.0
    while curve(root * (1 + nudge)) > delta:
        nudge = max(1e-15, nudge * 2)
    return root * (1 + nudge)


def _lattice_gap(sigma: float, count: int) -> float:
    """Return τ: how far the sum of `count` discrete Gaussians is from a discrete Gaussian."""
    # The first terms one by one, then all the others as if they were as large as the first of them.
    exact = min(count - 1, 50)
    rate = 2 * math.pi**2 * sigma**2
    head = sum(math.exp(-rate * k / (k + 1)) for k in range(1, exact + 1))
    # Terms fall with k, so the rest is below the last one times their number.
    rest = (count - 1 - exact) * math.exp(-rate * exact / (exact + 1)) if exact else 0.0
    return 10 * (head + rest)


def _log_tail(first: int, spread: float) -> tuple[float, float]:
    """Return bounds on log P[S ≥ first], S a discrete Gaussian around 0, first ≥ spread + 1.

    The first terms are summed; the rest is bounded by integrals. Beyond one standard deviation the
    density is convex, so that each point is below its mean over the unit around it, and the
    trapezium rule is above the integral. The normalising sum is between 1 and 1 + 4e^(−2π²·spread²)
    times √(2π)·spread (Poisson summation). In logarithms, since one of them is multiplied by e^ε.
    """
    points = np.arange(first, first + _TERMS, dtype=np.float64)
    log_scale = math.log(math.sqrt(2 * math.pi) * spread)
    largest = -((first / spread) ** 2) / 2
    head = largest + math.log(np.exp(-((points / spread) ** 2) / 2 - largest).sum()) - log_scale
    rest = first + _TERMS
    half_density = -((rest / spread) ** 2) / 2 - math.log(2) - log_scale
    above = np.logaddexp(head, log_ndtr(-(rest - 0.5) / spread))
    below = np.logaddexp(head, np.logaddexp(half_density, log_ndtr(-rest / spread)))
    return float(below) - math.log1p(4 * math.exp(-2 * math.pi**2 * spread**2)), float(above)
