"""Noise asked for by our account of the discrete Gaussian, as a ratio to its zCDP bound."""

import json
import math

from dp.accounting.gaussian import discrete_sigma, gaussian_mu, zcdp_delta
from dp.budget import Budget
from dp.unit.contribution import ContributionBound


def zcdp_sigma(budget: Budget, bound: ContributionBound) -> float:
    low, high = 1e-6, 1e3
    for _ in range(100):
        middle = math.sqrt(low * high)
        low, high = (
            (middle, high) if zcdp_delta(middle, budget.epsilon) <= budget.delta else (low, middle)
        )
    return bound.sensitivity / math.sqrt(2 * low)


bound = ContributionBound(intervals=3456, regions=2)
points = []
for epsilon in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0):
    budget = Budget(epsilon, 1e-7)
    ours = discrete_sigma(budget, bound)
    points.append(
        {
            "epsilon": epsilon,
            "delta": budget.delta,
            "unit": "user",
            "sigma": round(ours, 3),
            "ratio_to_zcdp": round(ours / zcdp_sigma(budget, bound), 4),
            "ratio_to_continuous": ours * gaussian_mu(budget) / bound.sensitivity,
        }
    )
print(json.dumps({"points": points}))
