"""What audits find at a true epsilon: ideal scores, noised counts, and private training.

    python benchmarks/audit.py [--canaries 1000]

Delta is 1e-5. The ratio is of the measured bound (one run, f-DP) to the claim, of training at epsilon 8.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from dp.accounting.gaussian import gaussian_mu
from dp.audit import counts, gradients, measure, plan
from dp.budget import Budget
from dp.mechanisms.count_noise import calibrate as calibrate_counts
from dp.mechanisms.window_sampling import calibrate_sampling as calibrate_training
from dp.unit.contribution import ContributionBound


def audited(epsilon: float, canaries: int) -> dict[str, Any]:
    budget, rng = Budget(epsilon, 1e-5), np.random.default_rng(0)
    guesses, mu = plan(canaries, budget), gaussian_mu(budget)
    ideal: dict[str, list[float]] = {}
    for _ in range(20):
        coins = rng.random(canaries) < 0.5
        for one in measure(guesses, mu * coins + rng.normal(size=canaries), coins):
            ideal.setdefault(one.bound, []).append(one.epsilon)
    noise = calibrate_counts(budget, ContributionBound(8, 2))
    planted = counts.plant(noise, canaries)
    sampling = calibrate_training(budget, windows=2688, batch=512, steps=252, hit=5)
    started = time.process_time()
    seen = gradients.plant(sampling, 1.0, canaries)
    spent = time.process_time() - started

    def bounds(scores: Any, coins: Any) -> dict[str, float]:
        return {one.bound: round(one.epsilon, 2) for one in measure(guesses, scores, coins)}

    return {
        "epsilon": epsilon,
        "ideal_mean_of_20": {name: round(float(np.mean(of)), 2) for name, of in ideal.items()},
        "counts": bounds(planted.scores(noise, 100), planted.included),
        "training": bounds(seen.scores, seen.included),
        "training_seconds": round(spent, 1),
    }


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--canaries", type=int, default=1000)
    canaries = arguments.parse_args().canaries
    found = [audited(epsilon, canaries) for epsilon in (1.0, 2.0, 4.0, 8.0)]
    ratio = found[-1]["training"]["one run f-DP (Gaussian)"] / 8.0
    print(json.dumps({"canaries": canaries, "found": found, "ratio": round(ratio, 2)}, indent=2))


if __name__ == "__main__":
    main()
