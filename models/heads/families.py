"""Families: the variance of counts around their mean, as quasi-likelihoods (Wedderburn 1974).

They need only the mean of the counts, which noise does not change, and how the variance grows with it:
noised counts may be negative, and are not clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.optimize import nnls

from models.tabular.base import Floats

_LEAST = 1e-8


class Family(Protocol):
    """Minus a quasi-likelihood of counts y of mean μ = e^η and variance V(μ); everything is [N]."""

    def loss(self, eta: Floats, counts: Floats) -> Floats:
        """∫ (t − y)/V(t) dt up to μ. Its slope in η is (μ − y)·μ/V, its expected curvature μ·μ/V."""

    def weight(self, mean: Floats) -> Floats:
        """μ/V(μ)."""


class PoissonLike:
    """V(μ) = μ. The loss is convex in η whatever the counts are."""

    def loss(self, eta: Floats, counts: Floats) -> Floats:
        """μ − yη."""
        return np.exp(eta) - counts * eta

    def weight(self, mean: Floats) -> Floats:
        """1."""
        return np.ones_like(mean)


@dataclass(frozen=True)
class NegativeBinomial:
    """V(μ) = (μ + k) + α(μ + k)²: y + k is like a negative binomial count (NB2) of mean μ + k.

    The shift stands for noise that does not depend on the mean, as Snyder et al. (1993) shift Poisson
    counts for the read-out noise of a camera.

    Attributes:
        dispersion: α, above 0.
        shift: k, above 0, persons.
    """

    dispersion: float
    shift: float

    def loss(self, eta: Floats, counts: Floats) -> Floats:
        """(y + k + 1/α)·log(1 + α(μ + k)) − (y + k)·log(μ + k), less its value at μ = 0."""
        mean, shifted, alpha = np.exp(eta), counts + self.shift, self.dispersion
        spread = np.log1p(alpha * mean / (1 + alpha * self.shift))
        return np.asarray((shifted + 1 / alpha) * spread - shifted * np.log1p(mean / self.shift))

    def weight(self, mean: Floats) -> Floats:
        """μ/V(μ)."""
        raised = mean + self.shift
        return np.asarray(mean / (raised * (1 + self.dispersion * raised)))


def by_moments(mean: Floats, counts: Floats) -> NegativeBinomial:
    """Return the family whose variance fits the residuals of `mean`, [N], best."""
    unit = max(float(np.square(mean).mean()), _LEAST)  # both columns are about 1
    columns = np.stack([np.ones_like(mean), np.square(mean) / unit], axis=1)
    (noise, growth), _ = nnls(columns, np.square(counts - mean) - mean)
    alpha = max(growth / unit, _LEAST)
    shift = 2 * noise / (1 + np.sqrt(1 + 4 * alpha * noise))  # k + αk² = noise
    return NegativeBinomial(float(alpha), max(float(shift), _LEAST))
