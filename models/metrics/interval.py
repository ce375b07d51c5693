"""Metrics of prediction intervals: pinball loss of their ends, and their coverage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.metrics.region import RegionMetric, errors, per_region

Floats = NDArray[np.float64]


def pinball(quantile: Floats, target: Floats, regions: Sequence[str], share: float) -> RegionMetric:
    """Return the pinball loss of each region, in persons (Koenker and Bassett 1978).

    Args:
        quantile: forecast of the `share` quantile, [N, H, R].
        target: [N, H, R], without gaps.
        regions: names, [R].
        share: in (0, 1).

    Raises:
        ModelError: shapes disagree, nothing to score, or a value is missing.
    """
    below = -errors(quantile, target, regions)
    loss = np.maximum(share * below, (share - 1) * below)
    return per_region(loss.mean(axis=(0, 1)), regions)


def coverage(low: Floats, high: Floats, target: Floats, regions: Sequence[str]) -> RegionMetric:
    """Return the share of targets in [low, high], each [N, H, R]; raises ModelError like `pinball`."""
    inside = (errors(low, target, regions) <= 0) & (errors(high, target, regions) >= 0)
    return per_region(inside.mean(axis=(0, 1)), regions)
