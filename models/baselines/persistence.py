"""Persistence: the next intervals equal the last one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data.windows import Windows


def persistence(windows: Windows) -> NDArray[np.float64]:
    """Return the latest value repeated over the horizon, [N, H, R], in persons, clipped at 0."""
    last = np.repeat(windows.last[:, None], windows.target.shape[1], axis=1)
    return np.maximum(last, 0.0)
