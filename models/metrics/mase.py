"""Mean absolute scaled error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.metrics.region import RegionMetric, errors, per_region


def mase(
    forecast: NDArray[np.float64],
    target: NDArray[np.float64],
    regions: Sequence[str],
    scale: NDArray[np.float64],
) -> RegionMetric:
    """Return the mean absolute error over that of persistence in training (Hyndman and Koehler 2006).

    Args:
        forecast: [N, H, R].
        target: [N, H, R], without gaps.
        regions: names, [R].
        scale: mean absolute step from one training interval to the next, [R]; a region that never
            changed has no MASE (NaN) and is left out of the mean.

    Raises:
        ModelError: shapes disagree, nothing to score, or a value is missing.
    """
    off = np.abs(errors(forecast, target, regions)).mean(axis=(0, 1))
    scaled = np.divide(off, scale, out=np.full_like(off, np.nan), where=scale > 0)
    named = per_region(scaled, regions).regions
    known = scaled[np.isfinite(scaled)]
    return RegionMetric(mean=float(known.mean()) if len(known) else float("nan"), regions=named)
