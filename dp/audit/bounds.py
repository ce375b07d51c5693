"""Lower bounds on epsilon from the right guesses of an attacker.

`rate_bound` and `tradeoff_bound` need one run of the mechanism, and canaries need not be independent;
`two_sided_bound` needs independent trials. All are one-sided: a true claim is below the bound with
probability `1 − confidence` at most.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import beta, binom

from dp.accounting.gaussian import gaussian_epsilon

_LARGEST = 64.0
"""Largest epsilon and μ that are searched."""


def rate_p_value(canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """Return the largest probability of `right` or more guesses under (epsilon, delta)-DP.

    Steinke, Nasr, Jagielski 2023 (arXiv:2305.08846), theorem 5.2: right guesses are dominated by
    Binom(r, e^ε/(1 + e^ε)), and δ adds 2mδ·max_i P[v > Binom ≥ v − i]/i.

    Args:
        canaries: m, each included by a fair coin.
        guesses: r, coins that were guessed; fixed in advance.
        right: v, coins that were guessed right.
        epsilon: claimed.
        delta: claimed.
    """
    law = binom(guesses, 1 / (1 + math.exp(-epsilon)))
    below = np.cumsum(law.pmf(np.arange(right - 1, -1, -1)))
    worst = float((below / np.arange(1, right + 1)).max()) if right else 0.0
    return min(1.0, float(law.sf(right - 1)) + 2 * canaries * delta * worst)


def rate_bound(
    canaries: int, guesses: int, right: int, delta: float, confidence: float = 0.95
) -> float:
    """Return the largest epsilon that the guesses refute, 0 if none; arguments as of `rate_p_value`."""
    return _largest_refuted(
        lambda epsilon: rate_p_value(canaries, guesses, right, epsilon, delta) < 1 - confidence
    )


def refutes_gaussian(canaries: int, guesses: int, right: int, mu: float, level: float) -> bool:
    """Return whether μ-Gaussian DP makes `right` or more guesses less probable than `level`.

    Mahloujifar, Melis, Chaudhuri 2024 (arXiv:2410.22235), theorem 9 and algorithm 3. With p_j the
    probability of j right guesses, r_i = Σ_{j≥i} j·p_j/m and h_i = Σ_{j≥i} (r − j)·p_j/m, flipping one
    coin gives r_i ≤ f̄(h_{i−1}) for f̄ = 1 − f; if the least that follows adds up to more than r/m,
    the probability was too large.

    Args:
        canaries: m, each included by a fair coin.
        guesses: r, coins that were guessed; fixed in advance.
        right: coins that were guessed right.
        mu: μ of the trade-off function f(α) = Φ(Φ⁻¹(1 − α) − μ).
        level: of the test.
    """
    hit = level * right / canaries
    missed = level * (guesses - right) / canaries
    for i in range(right - 1, -1, -1):
        least = max(missed, float(ndtr(ndtri(min(1.0, hit)) - mu)))
        hit += i / (guesses - i) * (least - missed)
        missed = least
        if hit + missed > guesses / canaries * (1 + 1e-12):
            return True
    return False


def tradeoff_bound(
    canaries: int, guesses: int, right: int, delta: float, confidence: float = 0.95
) -> float:
    """Return epsilon at `delta` of the largest Gaussian trade-off curve that the guesses refute (f-DP).

    A bound for mechanisms whose trade-off curve is Gaussian: noise on counts exactly, long trainings
    nearly. Arguments as of `refutes_gaussian`.
    """
    mu = _largest_refuted(lambda mu: refutes_gaussian(canaries, guesses, right, mu, 1 - confidence))
    return gaussian_epsilon(mu, delta) if mu else 0.0


def clopper_pearson(right: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact two-sided interval of a probability, from independent trials.

    (Clopper and Pearson 1934.)
    """
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, right, trials - right + 1)) if right else 0.0
    high = float(beta.ppf(1 - tail, right + 1, trials - right)) if right < trials else 1.0
    return low, high


def two_sided_bound(
    true_positives: int,
    positives: int,
    false_positives: int,
    negatives: int,
    delta: float,
    confidence: float = 0.95,
) -> float:
    """Return a bound on epsilon from independent trials: TPR ≤ e^ε·FPR + δ, and of the complements.

    Kairouz, Oh, Viswanath 2015; each rate at its Clopper-Pearson end, the confidence shared.

    Args:
        true_positives: trials with the unit that were called so.
        positives: trials with the unit.
        false_positives: trials without it that were called so.
        negatives: trials without it.
        delta: delta.
        confidence: of the bound.
    """
    # two ends are used, each missed with probability (1 − confidence)/2
    tpr = clopper_pearson(true_positives, positives, confidence)
    fpr = clopper_pearson(false_positives, negatives, confidence)
    epsilon = 0.0
    for much, little in ((tpr[0], fpr[1]), (1 - fpr[1], 1 - tpr[0])):
        if much > delta:
            epsilon = max(epsilon, math.log((much - delta) / little))
    return epsilon


def _largest_refuted(refuted: Callable[[float], bool]) -> float:
    """Return the largest value that is refuted, from below; refuting is monotone."""
    low, high = 0.0, 1.0
    if not refuted(1e-9):
        return 0.0
    while refuted(high):
        low, high = high, high * 2
        if high > _LARGEST:
            return low
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low
