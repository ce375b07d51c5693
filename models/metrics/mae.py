"""Mean absolute error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.metrics.region import RegionMetric, errors, per_region


def mae(
    forecast: NDArray[np.float64], target: NDArray[np.float64], regions: Sequence[str]
) -> RegionMetric:
    """Return the mean absolute error of each region over all windows and steps, in persons.

    Args:
        forecast: [N, H, R].
        target: [N, H, R], without gaps.
        regions: names, [R].

    Raises:
        ModelError: shapes disagree, nothing to score, or a value is missing.
    """
    return per_region(np.abs(errors(forecast, target, regions)).mean(axis=(0, 1)), regions)
