"""Plot of a forecast: released counts, then the intervals after them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from data import plot

LEVEL = 0.9
"""Level of the prediction intervals that are drawn, if the run has any."""

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
    """Draw one plot per region; returns the axes, [R].

    Args:
        values: the forecast, [H, R].
        ends: its prediction intervals.
        before: released counts before it; None to draw the forecast alone.
        title: text above the plots.
        caption: text below them.
        regions: names; by default the first dozen.
    """
    names = plot.chosen(list(values.columns), regions)
    axes = plot.grid(names, title)
    axes[0].figure.supxlabel(caption, fontsize=8, color="#52606d")
    for axis, name in zip(axes, names, strict=True):
        if before is not None:
            axis.plot(before.index, before[name], color=plot.COUNTS, lw=1, label=plot.NOISED)
        forecast = values[name]
        axis.plot(
            forecast.index,
            forecast,
            color=plot.FORECAST,
            marker="o",
            ms=4,
            lw=1.4,
            label="forecast",
        )
        if LEVEL in ends:
            low, high = (end[name] for end in ends[LEVEL])
            axis.errorbar(
                forecast.index,
                forecast,
                yerr=[forecast - low, high - forecast],
                color=plot.FORECAST,
                fmt="none",
                capsize=2,
                alpha=0.6,
                label=f"{LEVEL:.0%} interval",
            )
        axis.margins(x=0.03)
    axes[0].legend(frameon=False, fontsize=8)
    return axes
