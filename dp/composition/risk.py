"""Risk to a person under a guarantee: trade-off curves, and the chances of an attacker."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dp.composition.total import Total

_DELTAS = tuple(10.0**-exponent for exponent in range(3, 13))


def risk(total: Total, *, what: str) -> dict[str, Any]:
    """Return the curve epsilon(delta), the trade-off curve and an attacker's chance, as JSON values.

    The attacker is the worst case: they know all other records and have to tell two neighbouring data
    sets apart. With even odds beforehand the best guess is right with probability (1 + delta(0)) / 2,
    since delta at epsilon 0 is the total variation (Dong, Roth, Su 2022).

    Args:
        total: everything that was released.
        what: what the attacker guesses, as a clause that starts with "whether".
    """
    chance = (1 + total.delta(0.0)) / 2
    percent = math.ceil(chance * 1000) / 10
    return {
        "curve": [{"delta": delta, "epsilon": total.epsilon(delta)} for delta in _DELTAS],
        "trade_off": trade_off(total),
        "attacker": {
            "guesses": what,
            "right_before": 0.5,
            "right_after_at_most": percent / 100,
            "text": f"Somebody who knows everything else, and who would guess {what} with a coin, is "
            f"right 50 % of the time without what was released, and at most {percent:g} % with it.",
        },
    }


def trade_off(total: Total) -> list[dict[str, float]]:
    """Return the least type II error β at each type I error α of any test between neighbours.

    β(α) = max over ε of 1 − δ(ε) − e^ε·α and of e^−ε·(1 − δ(ε) − α), from delta(epsilon) alone
    (Dong, Roth, Su 2022, proposition 2.12); never above the true curve.

    Example:
        >>> from dp import Budget, ContributionBound, calibrate, total
        >>> noise = calibrate(Budget(1.0, 1e-6), ContributionBound(intervals=48, regions=2))
        >>> curve = trade_off(total([noise.event()]))
        >>> curve[5]["type_1"], round(curve[5]["type_2"], 2)
        (0.05, 0.92)
    """
    epsilons, deltas = _profile(total)
    curve = []
    for alpha in np.linspace(0, 1, 101):
        first = 1 - deltas - np.exp(epsilons) * alpha
        second = np.exp(-epsilons) * (1 - deltas - alpha)
        beta = max(0.0, float(first.max()), float(second.max()))
        curve.append({"type_1": round(float(alpha), 4), "type_2": beta})
    return curve


def least_false_alarms(total: Total, power: float) -> float:
    """Return the least type I error of a test that finds a share `power` of all cases.

    From P(S) ≤ e^ε·Q(S) + δ(ε), for the test's region S and for its complement; never above the
    true error, since any ε gives a bound.

    Args:
        total: everything that was released.
        power: 1 minus the type II error.
    """
    epsilons, deltas = _profile(total)
    inside = (power - deltas) * np.exp(-epsilons)
    outside = 1 - deltas - np.exp(epsilons) * (1 - power)
    return max(0.0, float(inside.max()), float(outside.max()))


@lru_cache(maxsize=8)
def _profile(total: Total) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return delta(epsilon) at epsilons from 0 to where hardly any delta is left."""
    top = total.epsilon(1e-9)
    epsilons = np.linspace(0.0, top if math.isfinite(top) else 0.0, 41)
    return epsilons, np.array([total.delta(float(epsilon)) for epsilon in epsilons])
