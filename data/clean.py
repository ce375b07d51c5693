"""Repair of gaps, which comes after the noise only.

Repair reads counts. Before the noise it would make intervals depend on each other, and one person
would move more counts than the contribution bound allows; after the noise it is free.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from data.panel import Panel
from data.spans import DAY, WEEK


def fill_gaps(panel: Panel) -> Panel:
    """Fill every missing interval from the past.

    A gap takes the value at the same time a week before; failing that a day before; failing that
    the last value. Only intervals before the first observed one take a later value, the first.

    Args:
        panel: noised (or declared public) counts with rows of NaN.
    """
    values = panel.values.copy()
    offsets = [_offset(panel, span) for span in (WEEK, DAY)]
    observed = np.flatnonzero(panel.observed)
    if not len(observed):
        raise ValueError(f"{panel.source}: no interval was observed")
    values[: observed[0]] = values[observed[0]]
    for row in np.flatnonzero(np.isnan(values[:, 0])):  # in order, so that long gaps chain
        back = next((offset for offset in offsets if offset is not None and offset <= row), 1)
        values[row] = values[row - back]
    return panel.with_values(values)


def _offset(panel: Panel, span: pd.Timedelta) -> int | None:
    """Return `span` in intervals, or None if it is not a whole number of them."""
    whole, rest = divmod(span, panel.interval)
    return None if rest or whole < 1 else int(whole)
