"""Accounting of single mechanisms: epsilon(delta) from the noise, and the noise from a budget."""

from dp.accounting.gaussian import (
    discrete_delta,
    discrete_epsilon,
    discrete_sigma,
    gaussian_delta,
    gaussian_epsilon,
    gaussian_mu,
    zcdp_delta,
    zcdp_epsilon,
)
from dp.accounting.sliding_window import CellNoise, epsilon_of, naive_epsilon, noise_for

__all__ = [
    "CellNoise",
    "discrete_delta",
    "discrete_epsilon",
    "discrete_sigma",
    "epsilon_of",
    "gaussian_delta",
    "gaussian_epsilon",
    "gaussian_mu",
    "naive_epsilon",
    "noise_for",
    "zcdp_delta",
    "zcdp_epsilon",
]
