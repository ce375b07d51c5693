"""The drawing of a forecast: released counts, then what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from numpy.typing import NDArray

from data import plot

if TYPE_CHECKING:
    from flows.ahead import Forecast

LEVEL = 0.9
"""Of the prediction intervals that are drawn, where there are any."""


def figure(forecast: Forecast, regions: Sequence[str] | None, days: float) -> NDArray[Any]:
    """One picture a region, [R] axes.

    Args:
        forecast: what to draw.
        regions: names; by default the first dozen.
        days: of released counts before it.
    """
    names = plot.chosen(list(forecast.values.columns), regions)
    axes = plot.grid(names, f"Next intervals of {forecast.source}, in persons")
    axes[0].figure.supxlabel(_sentence(forecast), fontsize=8, color="#52606d")
    before, recent = None, forecast.recent
    if recent is not None:
        before = recent.counts[recent.times >= forecast.values.index[0] - pd.Timedelta(days=days)]
    for axis, name in zip(axes, names, strict=True):
        if before is not None:
            axis.plot(before.index, before[name], color=plot.COUNTS, lw=1, label=plot.NOISED)
        made = forecast.values[name]
        axis.plot(made.index, made, color=plot.FORECAST, marker="o", ms=4, lw=1.4, label="forecast")
        if LEVEL in forecast.ends:
            low, high = (end[name] for end in forecast.ends[LEVEL])
            axis.errorbar(made.index, made, yerr=[made - low, high - made], color=plot.FORECAST,
                          fmt="none", capsize=2, alpha=0.6, label=f"{LEVEL:.0%} interval")  # fmt: skip
        axis.margins(x=0.03)
    axes[0].legend(frameon=False, fontsize=8)
    return axes


def _sentence(forecast: Forecast) -> str:
    return forecast.privacy[0].upper() + forecast.privacy[1:] + "."
