"""Guesses of an audit: how many is decided in advance, which by the score of each canary.

Each bound is tried with three numbers of guesses, which share the error probability: the best numbers
if the claim is exactly true and if the noise is half of what it should be, and all coins, the best
number if there is no noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from dp.accounting.gaussian import gaussian_mu
from dp.audit.bounds import rate_bound, tradeoff_bound
from dp.budget import Budget

Bound = Callable[[int, int, int, float, float], float]

BOUNDS: dict[str, Bound] = {
    "one run (epsilon, delta)": rate_bound,
    "one run f-DP (Gaussian)": tradeoff_bound,
}
"""By name: Steinke et al. 2023, and Mahloujifar et al. 2024."""


@dataclass(frozen=True)
class Guesses:
    """Numbers of coins to guess for each bound, half of them as included, half as not.

    Attributes:
        canaries: m.
        claimed: what is audited.
        confidence: of each bound.
        numbers: guesses by name of the bound; all coins are guessed as well.
    """

    canaries: int
    claimed: Budget
    confidence: float
    numbers: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Measured:
    """The measurement of one bound.

    Attributes:
        bound: its name.
        guesses: r, of the three numbers the one with the largest epsilon.
        right: v.
        epsilon: measured lower bound at the claimed delta; 0 if nothing is refuted.
    """

    bound: str
    guesses: int
    right: int
    epsilon: float


def plan(canaries: int, claimed: Budget, confidence: float = 0.95) -> Guesses:
    """Choose the numbers of guesses.

    They follow from the claim alone, before the mechanism runs: scores are taken to be Gaussian, and
    those of included canaries to lie μ higher.
    """
    return Guesses(
        canaries,
        claimed,
        confidence,
        dict(_numbers(canaries, claimed, _shared_confidence(confidence))),
    )


def measure(
    guesses: Guesses, scores: NDArray[np.float64], included: NDArray[np.bool_]
) -> tuple[Measured, ...]:
    """Guess coins by their scores and return what each bound measures.

    Args:
        guesses: fixed in advance.
        scores: [m], high where a canary looks included.
        included: the coins, [m].
    """
    if len(scores) != guesses.canaries or not np.isfinite(scores).all():
        raise ValueError(f"expected {guesses.canaries} finite scores, got {len(scores)}")
    order = np.argsort(scores, kind="stable")

    halfway = np.quantile(scores, [0.05, 0.95]).mean()
    every = int(((scores > halfway) == included).sum())

    def bound(name: str, number: int, right: int) -> Measured:
        m, claimed = guesses.canaries, guesses.claimed
        epsilon = BOUNDS[name](
            m, number, right, claimed.delta, _shared_confidence(guesses.confidence)
        )
        return Measured(name, number, right, epsilon)

    def ends(number: int) -> int:
        half = number // 2
        return int(included[order[-half:]].sum() + (~included[order[:half]]).sum())

    return tuple(
        max(
            (
                *(bound(name, number, ends(number)) for number in numbers),
                bound(name, guesses.canaries, every),
            ),
            key=lambda measured: measured.epsilon,
        )
        for name, numbers in guesses.numbers.items()
    )


def _shared_confidence(confidence: float) -> float:
    """Return the confidence of each of three bounds that hold together with `confidence`."""
    return 1 - (1 - confidence) / 3


@lru_cache(maxsize=64)
def _numbers(
    canaries: int, claimed: Budget, confidence: float
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    if canaries < 2:
        raise ValueError(f"expected canaries={canaries} to be at least 2")
    mu = gaussian_mu(claimed)
    tried = sorted({2 * max(1, round(canaries * share / 2)) for share in np.geomspace(0.01, 1, 24)})
    tried = [number for number in tried if number <= canaries]

    def best(bound: Bound, mu: float) -> int:
        rates = [_accuracy(number / (2 * canaries), mu) for number in tried]
        expected = [
            bound(canaries, number, int(number * rate), claimed.delta, confidence)
            for number, rate in zip(tried, rates, strict=True)
        ]
        return int(tried[int(np.argmax(expected))])

    return tuple((name, (best(bound, mu), best(bound, 2 * mu))) for name, bound in BOUNDS.items())


def _accuracy(share: float, mu: float) -> float:
    """Return the probability that one of the highest `share` of scores is of an included canary."""

    def above(point: float) -> tuple[float, float]:
        return float(ndtr(mu / 2 - point)), float(ndtr(-mu / 2 - point))

    if share >= 0.5:
        return above(0.0)[0]
    reach = mu / 2 + 40
    at = brentq(lambda point: sum(above(point)) / 2 - share, -reach, reach)
    with_it, without = above(at)
    return with_it / (with_it + without)
