"""Prediction intervals from the errors of forecasts for a period that was not trained on.

Split conformal prediction (Vovk et al. 2005): of n absolute errors, the ⌈(n+1)·level⌉-th smallest.
Errors at night and at noon differ, so each quarter of the day has its own (Mondrian). Under noise the
errors are measured against noised counts, so intervals are wider than the true counts need.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.windows import Windows
from models.errors import ModelError

Floats = NDArray[np.float64]

QUARTERS = 4


@dataclass(frozen=True)
class Intervals:
    """Half-widths of prediction intervals.

    Attributes:
        widths: by level in (0, 1), persons, [QUARTERS, H, R].
    """

    widths: dict[float, Floats]

    def around(self, forecast: Floats, windows: Windows, level: float) -> tuple[Floats, Floats]:
        """Return the low and high ends, [N, H, R] each; never below 0.

        Raises:
            ModelError: this level was not calibrated.
        """
        if level not in self.widths:
            raise ModelError(f"level={level} was not calibrated; choose one of {[*self.widths]}")
        width = self.widths[level][quarters(windows), np.arange(forecast.shape[1])]
        return np.maximum(forecast - width, 0.0), forecast + width

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {f"{level:g}": widths.tolist() for level, widths in self.widths.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Intervals:
        """Return the intervals that `to_dict` has written."""
        return cls({float(level): np.array(widths) for level, widths in values.items()})


def fit_intervals(
    forecast: Floats, windows: Windows, levels: tuple[float, ...] = (0.5, 0.8, 0.9, 0.95)
) -> Intervals:
    """Return half-widths from forecasts of a period that was not trained on.

    Args:
        forecast: [N, H, R], persons.
        windows: with observed targets.
        levels: shares of the targets that the intervals should contain.

    Raises:
        ModelError: too few windows in a quarter of the day for the highest level.
    """
    off, quarter = np.abs(forecast - windows.target), quarters(windows)
    # a day of long intervals has no interval in some quarters: these take the widths of all
    groups = [_or_all(off, quarter == number) for number in range(QUARTERS)]
    fewest = min(len(group) for group in groups)
    needed = math.ceil(1 / (1 - max(levels))) - 1
    if fewest < needed:
        raise ModelError(
            f"{fewest} windows in a quarter of the day are too few for intervals of level "
            f"{max(levels):g}: {needed} are needed; make windows.calibration longer"
        )
    return Intervals(
        {level: np.stack([_width(group, level) for group in groups]) for level in levels}
    )


def quarters(windows: Windows) -> NDArray[np.int64]:
    """Return the quarter of the day of each target, [N, H]."""
    ahead = np.arange(windows.target.shape[1]) * windows.interval.to_timedelta64()
    times = pd.DatetimeIndex((windows.times.to_numpy()[:, None] + ahead).ravel())
    return np.asarray(times.hour * QUARTERS // 24).reshape(len(windows), -1)


def _or_all(off: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Return the errors of the chosen targets, [n, H, R]; NaN where a target is not chosen."""
    steps = chosen.any(axis=0)
    errors = np.where((chosen | ~steps)[..., None], off, np.nan)
    return errors[~np.isnan(errors).all(axis=(1, 2))]


def _width(off: Floats, level: float) -> Floats:
    """Return the conformal quantile of each step and region, [H, R]."""
    ordered = np.sort(off, axis=0)  # NaN last
    count = np.sum(~np.isnan(ordered[..., 0]), axis=0)  # [H]
    rank = np.ceil((count + 1) * level).astype(int) - 1
    rank = np.minimum(rank, count - 1)
    return np.asarray(np.take_along_axis(ordered, rank[None, :, None], axis=0)[0])
