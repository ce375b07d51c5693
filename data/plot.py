"""Plots of panels, one small plot per region; matplotlib is imported on first use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

RAW, NOISED = "raw, not private", "released, with noise"
COUNTS, FORECAST = "#9aa5b1", "#0b6e99"
MOST = 12
"""Number of regions that are drawn by default."""


def chosen(known: Sequence[str], named: Sequence[str] | None) -> list[str]:
    """Return the regions to draw.

    Raises:
        ValueError: one is unknown.
    """
    unknown = [name for name in named or () if name not in known]
    if unknown:
        raise ValueError(f"no region {unknown[0]!r}; there are {', '.join(known[:MOST])}")
    return list(named or known[:MOST])


def grid(regions: Sequence[str], title: str) -> NDArray[Any]:
    """Return the axes of one figure, [R]: one per region, under one title."""
    from matplotlib import pyplot as plt
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    columns = min(2, len(regions))
    rows = math.ceil(len(regions) / columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(6 * columns, 2.2 * rows + 0.6),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    figure.suptitle(title, fontsize=11)
    drawn = axes.flat[: len(regions)]
    for axis, region in zip(drawn, regions, strict=True):
        axis.set_title(region, loc="left", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color="#e4e7eb", lw=0.6)
        axis.tick_params(labelsize=8, labelbottom=True)
        locator = AutoDateLocator(minticks=3, maxticks=6)
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    for axis in axes.flat[len(regions) :]:
        axis.set_visible(False)
    result: NDArray[Any] = np.asarray(drawn)
    return result


def series(counts: pd.DataFrame, title: str, regions: Sequence[str] | None = None) -> NDArray[Any]:
    """Draw counts over time, [R] axes.

    Args:
        counts: frame of times × regions; gaps (NaN) break the line.
        title: of the figure; states whether the counts are raw.
        regions: which; by default the first dozen.

    Raises:
        ValueError: an unknown region.
    """
    names = chosen([str(name) for name in counts.columns], regions)
    axes = grid(names, title)
    for axis, name in zip(axes, names, strict=True):
        axis.plot(counts.index, counts[name], color=COUNTS, lw=1)
        axis.margins(x=0.01)
    return axes
