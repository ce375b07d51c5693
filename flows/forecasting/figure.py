"""Plot of a forecast: released counts, then what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from data import plot

LEVEL = 0.9
"""Of the prediction intervals that are drawn, where there are any."""


Ends = dict[float, tuple[pd.DataFrame, pd.DataFrame]]
"""Low and high end of prediction intervals by level, frames [H, R]."""


def figure(
    values: pd.DataFrame,
    ends: Ends,
    before: pd.DataFrame | None,
    *,
    title: str,
    caption: str,
    regions: Sequence[str] | None = None,
) -> NDArray[Any]:
    """One plot per region, [R] axes.

    Args:
        values: the forecast, [H, R].
        ends: of its prediction intervals.
        before: released counts before it; None to draw the forecast alone.
        title: above all plots.
        caption: below them.
        regions: names; by default the first dozen.
    """
    names = plot.chosen(list(values.columns), regions)
    axes = plot.grid(names, title)
    axes[0].figure.supxlabel(caption, fontsize=8, color="#52606d")
    for axis, name in zip(axes, names, strict=True):
        if before is not None:
            axis.plot(before.index, before[name], color=plot.COUNTS, lw=1, label=plot.NOISED)
        made = values[name]
        axis.plot(made.index, made, color=plot.FORECAST, marker="o", ms=4, lw=1.4, label="forecast")
        if LEVEL in ends:
            low, high = (end[name] for end in ends[LEVEL])
            axis.errorbar(
                made.index,
                made,
                yerr=[made - low, high - made],
                color=plot.FORECAST,
                fmt="none",
                capsize=2,
                alpha=0.6,
                label=f"{LEVEL:.0%} interval",
            )
        axis.margins(x=0.03)
    axes[0].legend(frameon=False, fontsize=8)
    return axes
