"""Calendar features: the position of an interval in its day and its week."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.spans import DAY

FEATURES = ("day_sin", "day_cos", "week_sin", "week_cos", "weekend")


def features(times: pd.DatetimeIndex) -> NDArray[np.float32]:
    """Return time of day, time of week and weekend of each interval.

    The week is a week: one turn of `week_sin`/`week_cos` takes seven days. (The notebook of
    Arcolezi et al. 2022 turned once in thirty days under the name "time of week".)

    Args:
        times: start of each interval, [T].

    Returns:
        Features in [-1, 1], [T, 5], in the order of `FEATURES`.
    """
    midnight = times.normalize()
    day = (times - midnight) / DAY
    week = (times.day_of_week + day) / 7
    turn = 2 * np.pi
    columns = [
        np.sin(turn * day),
        np.cos(turn * day),
        np.sin(turn * week),
        np.cos(turn * week),
        times.day_of_week >= 5,
    ]
    return np.stack([np.asarray(column, dtype=np.float32) for column in columns], axis=1)
