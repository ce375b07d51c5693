"""Root mean squared error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.metrics.region import RegionMetric, errors, per_region


def rmse(
    forecast: NDArray[np.float64], target: NDArray[np.float64], regions: Sequence[str]
) -> RegionMetric:
    """Return the root mean squared error of each region over all windows and steps, in persons.

    The mean is over the regions' errors, unweighted: the protocol of Arcolezi et al. 2022.

    Args:
        forecast: [N, H, R].
        target: [N, H, R], without gaps.
        regions: names, [R].

    Raises:
        ModelError: shapes disagree, nothing to score, or a value is missing.
    """
    squared = np.square(errors(forecast, target, regions))
    return per_region(np.sqrt(squared.mean(axis=(0, 1))), regions)
