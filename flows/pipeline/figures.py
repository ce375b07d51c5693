"""Figures of a run: its forecast region by region, and its guarantee as curves."""

from __future__ import annotations

import io
import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.panel import Panel
from flows.document import Document
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.windows import Prepared
from models.conformal import Intervals

LEVEL = 0.9
"""Of the prediction intervals that are drawn."""
_FORECAST, _COUNTS = "#0b6e99", "#9aa5b1"


def figure(
    prepared: Prepared,
    inputs: Panel,
    guarantee: Guarantee,
    forecast: NDArray[np.float64],
    intervals: Intervals | None = None,
    *,
    columns: int = 2,
) -> bytes:
    """Forecast of the test period, region by region, as PNG.

    Raw counts are drawn only where the source is public; a private source shows the counts as they
    were released, and nothing but the forecast if none were.

    Args:
        prepared: windows and truth.
        inputs: the counts that were read, with gaps.
        guarantee: of the run.
        forecast: test forecast, [N, H, R]; the first step ahead is drawn.
        intervals: prediction intervals, if there are any; those of `LEVEL` are drawn.
        columns: of regions side by side; one for narrow screens.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    truth = prepared.truth
    counts, label = _counts(prepared, inputs, guarantee)
    ends = None
    if intervals is not None and LEVEL in intervals.widths:
        ends = intervals.around(forecast, truth, LEVEL)
    regular = pd.date_range(truth.times[0], truth.times[-1], freq=truth.interval)
    at = regular.get_indexer(truth.times)

    def line(values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values where there are any; a line breaks where there are none."""
        whole = np.full(len(regular), np.nan)
        whole[at] = values
        return whole

    rows = math.ceil(len(truth.regions) / columns)
    width = 12 if columns > 1 else 5.2
    picture = Figure(figsize=(width, 2.5 * rows + 0.9), layout="constrained")
    axes = picture.subplots(rows, columns, sharex=True, squeeze=False)
    for region, axis in enumerate(axes.flat):
        if region >= len(truth.regions):
            axis.set_visible(False)
            continue
        if counts is not None:
            axis.plot(regular, line(counts[:, region]), color=_COUNTS, lw=1.6, label=label)
        if ends is not None:
            axis.fill_between(
                regular,
                line(ends[0][:, 0, region]),
                line(ends[1][:, 0, region]),
                color=_FORECAST,
                alpha=0.18,
                lw=0,
                label=f"{LEVEL:.0%} interval",
            )
        axis.plot(
            regular,
            line(forecast[:, 0, region]),
            color=_FORECAST,
            lw=1.1,
            label="forecast, one ahead",
        )
        axis.set_title(truth.regions[region], loc="left", fontsize=10)
        axis.set_ylim(bottom=0)
        axis.margins(x=0.01)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color="#e4e7eb", lw=0.6)
        axis.tick_params(labelsize=8)
        locator = AutoDateLocator(minticks=3, maxticks=8 if columns > 1 else 6)
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    picture.suptitle(f"Persons per interval, test period of {prepared.inputs.source}", fontsize=12)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    picture.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=3 if columns > 1 else 1,
        frameon=False,
        fontsize=9,
    )
    buffer = io.BytesIO()
    FigureCanvasAgg(picture).print_png(buffer)
    return buffer.getvalue()


def promise_figure(statement: Document, *, narrow: bool = False) -> bytes | None:
    """The promise as two curves, PNG, one above the other if narrow; None where there is no promise."""
    if "curve" not in statement:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    picture = Figure(figsize=(5, 7) if narrow else (10, 3.6), layout="constrained")
    left, right = picture.subplots(*(2, 1) if narrow else (1, 2))
    left.semilogx(
        [point["delta"] for point in statement["curve"]],
        [point["epsilon"] for point in statement["curve"]],
        color=_FORECAST,
        marker="o",
        ms=3.5,
    )
    left.plot([statement["delta"]], [statement["epsilon"]], "o", color="#b44d12", label="claimed")
    left.set(xlabel="delta", ylabel="epsilon", ylim=(0, None))
    left.set_title("Epsilon at any delta", loc="left", fontsize=10)
    left.legend(frameon=False, fontsize=8)
    first = [point["type_1"] for point in statement["trade_off"]]
    second = [point["type_2"] for point in statement["trade_off"]]
    right.plot([0, 1], [1, 0], color=_COUNTS, lw=1, ls="--", label="guessing with a coin")
    right.plot(first, second, color=_FORECAST, label="the best attacker")
    right.fill_between(first, second, [1 - one for one in first], color=_FORECAST, alpha=0.12)
    right.set(xlabel="wrongly says yes (type I error)", ylabel="wrongly says no (type II error)")
    right.set_title("No test for one unit can have smaller errors", loc="left", fontsize=10)
    right.legend(frameon=False, fontsize=8)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    buffer = io.BytesIO()
    FigureCanvasAgg(picture).print_png(buffer)
    return buffer.getvalue()


def _counts(
    prepared: Prepared, inputs: Panel, guarantee: Guarantee
) -> tuple[NDArray[np.float64] | None, str]:
    """Return the counts that may be drawn beside the forecast, and their label."""
    truth = prepared.truth
    if inputs.public:
        return truth.target[:, 0], "counts (evaluated on raw data, not a private release)"
    if guarantee.release is None and guarantee.stream is None:
        return None, ""
    at = inputs.times.get_indexer(truth.times)
    return inputs.values[at], "counts as released, with noise"
