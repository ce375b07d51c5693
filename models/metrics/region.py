"""A metric per region and its mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RegionMetric:
    """A forecast error, in persons.

    Attributes:
        mean: unweighted mean over the regions.
        regions: error of each region.
    """

    mean: float
    regions: dict[str, float]


def errors(forecast: Floats, target: Floats, regions: Sequence[str]) -> Floats:
    """Return forecast minus target, [N, H, R], after checking that the shapes agree.

    Raises:
        ModelError: shapes disagree, nothing to score, or a value is missing.
    """
    if forecast.shape != target.shape or forecast.ndim != 3 or forecast.shape[2] != len(regions):
        raise ModelError(
            f"forecast {forecast.shape} and target {target.shape} must both be "
            f"[windows, horizon, {len(regions)} regions]"
        )
    if not forecast.shape[0]:
        raise ModelError("no window to score")
    result: Floats = forecast - target
    if not np.isfinite(result).all():
        raise ModelError("a forecast or target is missing or infinite; score observed targets only")
    return result


def per_region(values: Floats, regions: Sequence[str]) -> RegionMetric:
    """Name one value per region, [R], and take the mean."""
    named = {region: float(value) for region, value in zip(regions, values, strict=True)}
    return RegionMetric(mean=float(values.mean()), regions=named)
