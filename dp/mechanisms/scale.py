"""Typical counts and steps per region: declared, or estimated privately.

A network needs inputs near 1, and the scale that brings them there is published with the model. Under
`gradient` it is either declared by the operator or estimated from noised histograms, whose cost is
composed with the training's.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from dp.accounting.gaussian import gaussian_mu
from dp.accounting.sliding_window import CellNoise
from dp.budget import Budget
from dp.mechanisms.count_noise import discrete_gaussian
from dp.permit import Permit

Floats = NDArray[np.float64]

DECLARED = "from the declared largest count (source.max_count); no count was looked at"
ESTIMATED = (
    "typical counts and steps of each region from histograms with discrete Gaussian noise, charged "
    "with the training"
)

SHARE = 0.05
"""Share of the training's μ² that the estimate may take: about 2.5 % more noise in training."""
_EDGES = np.concatenate([[0.0], 2.0 ** (np.arange(0, 61) / 2)])
"""Half octaves up to a thousand million; 0 has a bin of its own."""


@dataclass(frozen=True)
class Scale:
    """Typical size of counts, in persons, [R] each.

    Attributes:
        mean: typical count (the median, or half of the declared largest).
        spread: typical distance of counts from it.
        step: typical difference between the counts of consecutive intervals.
    """

    mean: tuple[float, ...]
    spread: tuple[float, ...]
    step: tuple[float, ...]


def declared(max_count: float, regions: int) -> Scale:
    """Return the scale of a declared largest count, without reading any count."""
    half, quarter, step = max_count / 2, max_count / 4, max_count / 16
    return Scale((half,) * regions, (quarter,) * regions, (step,) * regions)


def scale_noise(budget: Budget, *, width: int, intervals: int, regions: int) -> CellNoise:
    """Return the noise for an estimate that takes `SHARE` of the budget.

    Counts are read in pairs of neighbouring intervals, so far apart that a unit touches one pair at
    most: it moves one level and one step in each region, two cells each.

    Args:
        budget: of the whole run.
        width: w, intervals that a unit may change.
        intervals: number of intervals.
        regions: counts of one interval that a unit may change.

    Raises:
        ValueError: the noise would drown the histograms.
    """
    noise = CellNoise(
        sigma=max(2.0, math.sqrt(4 * regions / SHARE) / gaussian_mu(budget)), cells=4 * regions
    )
    records = intervals // distance(width)
    if noise.sigma * 8 > records:
        raise ValueError(
            f"the scale of the counts cannot be estimated privately for a unit of {width} intervals: "
            f"{records} records under noise of {noise.sigma:.0f}; declare the largest count that "
            "can occur (source.max_count)"
        )
    return noise


def estimate(counts: Floats, noise: CellNoise, permit: Permit, *, width: int) -> Scale:
    """Estimate the scale from noised histograms of levels and steps.

    Args:
        counts: [T, R], raw; rows of NaN where not observed.
        noise: from `scale_noise`.
        permit: from the ledger, for a training with this noise beside it.
        width: w, intervals that a unit may change.
    """
    permit.use("scale of the counts", {"aside": asdict(noise)})
    apart = distance(width)
    first, second = counts[:-1:apart], counts[1::apart]
    with np.errstate(over="ignore", invalid="ignore"):  # a warning would reveal extreme counts
        both = ~np.isnan(first + second).any(axis=1)
        first, second = first[both], second[both]
        moved = np.abs(second - first)
    levels = [_quantiles(column, noise.sigma, (0.16, 0.5, 0.84)) for column in first.T]
    steps = [_quantiles(column, noise.sigma, (0.68,)) for column in moved.T]
    return Scale(
        mean=tuple(middle for _, middle, _ in levels),
        spread=tuple(max(high - low, low, 2.0) / 2 for low, _, high in levels),
        step=tuple(max(typical, 1.0) for (typical,) in steps),
    )


def _quantiles(values: Floats, sigma: float, shares: tuple[float, ...]) -> tuple[float, ...]:
    """Estimate quantiles of non-negative values from a noised histogram."""
    index = np.clip(np.searchsorted(_EDGES, values, side="right") - 1, 0, len(_EDGES) - 1)
    noised = discrete_gaussian(np.bincount(index, minlength=len(_EDGES)), sigma).astype(float)
    # Empty cells hold only noise, and together they would outweigh the few filled ones.
    filled = np.where(noised > 2 * sigma, noised, 0.0)
    if not filled.any():
        filled[np.argmax(noised)] = 1.0
    heights = np.concatenate([[0.0], np.cumsum(filled) / filled.sum()])
    edges = np.concatenate([_EDGES, [_EDGES[-1] * 2]])
    return tuple(float(np.interp(share, heights, edges)) for share in shares)


def distance(width: int) -> int:
    """Return how far apart pairs start so that `width` consecutive intervals touch one at most."""
    return max(2, width + 1)
