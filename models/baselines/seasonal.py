"""Seasonal persistence: the next intervals equal those one season before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data.windows import Windows
from models.errors import ModelError


def seasonal(windows: Windows, index: int) -> NDArray[np.float64]:
    """Return the values one seasonal lag before each target, [N, H, R], in persons, clipped at 0.

    Args:
        windows: windows with at least one seasonal lag.
        index: which of the windows' seasonal lags, counted from 0.

    Raises:
        ModelError: the windows have no such lag.
    """
    count = windows.seasonal.shape[1]
    if not 0 <= index < count:
        raise ModelError(f"index={index}: the windows have {count} seasonal lags, counted from 0")
    return np.maximum(windows.seasonal[:, index], 0.0)
