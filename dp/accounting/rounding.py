"""Discrete Gaussians as rounded continuous ones, whose costs add up exactly.

A discrete Gaussian of parameter σ around a grid point has, up to a factor e^±κ, the law of a
randomised rounding of a continuous Gaussian of variance σ² − r² around it (Peikert 2010, theorem 3.1,
with rounding by a discrete Gaussian of parameter r), and Poisson summation gives κ ≤ 5·e^(−2π²r²) for
σ² ≥ 2r²; both in steps of the grid. So any number of them is post-processing of continuous Gaussians,
and costs at most a factor e^(κN) in delta and 2κN in epsilon for N draws: with r² = 2 less than 1e-8
for 10^8 draws.
"""

from __future__ import annotations

import math

from dp.accounting.gaussian import gaussian_delta

ROUNDING = 2.0
"""r²: variance spent on the randomised rounding, in squared steps of the grid."""
KAPPA = 5 * math.exp(-2 * math.pi**2 * ROUNDING)


def rounded_variance(sigma: float, grid: int = 1) -> float:
    """Return σ² − r², the variance of the Gaussian that is rounded.

    Args:
        sigma: parameter of the discrete Gaussian, in persons.
        grid: steps in one person.

    Raises:
        ValueError: σ is below the two steps that the bound on κ needs.
    """
    if sigma * grid < math.sqrt(2 * ROUNDING):
        raise ValueError(f"expected sigma={sigma:g} to be at least two steps of 1/{grid} person")
    return sigma**2 - ROUNDING / grid**2


def rounded_delta(mu: float, draws: int, epsilon: float) -> float:
    """Return delta(epsilon) of discrete Gaussians, never below the true one.

    Args:
        mu: μ of the Gaussians that are rounded: the root of the summed squares of change over
            standard deviation.
        draws: N, noise that two neighbouring data sets disagree on.
        epsilon: the epsilon to spend.
    """
    slack = KAPPA * draws
    return gaussian_delta(mu, epsilon - 2 * slack) * math.exp(slack)
