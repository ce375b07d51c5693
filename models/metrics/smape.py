"""Symmetric mean absolute percentage error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.metrics.region import RegionMetric, errors, per_region


def smape(
    forecast: NDArray[np.float64], target: NDArray[np.float64], regions: Sequence[str]
) -> RegionMetric:
    """Return the mean of 2|f − y| / (|f| + |y|) of each region, between 0 and 2; 0 where both are 0.

    Args:
        forecast: [N, H, R].
        target: [N, H, R], without gaps.
        regions: names, [R].

    Raises:
        ModelError: shapes disagree, nothing to score, or a value is missing.
    """
    off = np.abs(errors(forecast, target, regions))
    size = np.abs(forecast) + np.abs(target)
    ratio = np.divide(2 * off, size, out=np.zeros_like(off), where=size > 0)
    return per_region(ratio.mean(axis=(0, 1)), regions)
