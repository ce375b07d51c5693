"""Forecasts from released counts, written to the store: one for every interval that has passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from data.clean import fill_gaps
from data.panel import Panel
from data.store import Forecast, append_forecasts, latest_forecasts, open_store
from data.windows import Windows, WindowSpec, make
from flows.pipeline.guarantee import Promise
from flows.recipe.recipe import Recipe
from flows.settings import Home
from flows.stream import release
from flows.stream.champion import Champion
from flows.stream.names import in_use
from models.checkpoint import open_model
from models.conformal import Intervals
from models.predict import predict

LEVEL = 0.9
"""Of the prediction intervals that are written."""
_MOST = 96
"""Forecasts that are made up for when the loop did not run; older ones serve nobody."""


@dataclass(frozen=True)
class Foreseen:
    """What was forecast.

    Attributes:
        made: moments, by the panel's clock, from which was looked ahead.
        rows: written to the store.
    """

    made: tuple[pd.Timestamp, ...]
    rows: int


def foresee(recipe: Recipe, home: Home, model: Champion, seen: pd.Timestamp) -> Foreseen:
    """Forecast from every moment that was not forecast from yet, up to the end of what was seen.

    A forecast is named by the moment from which it looks ahead, so that making it again changes
    nothing. Intervals that were not released are repaired from released ones, like any gap.

    Args:
        recipe: of the stream.
        home: where store and ledger are.
        model: the one in use.
        seen: end of the last interval that the source has, released or not.
    """
    saved = open_model(model.files)
    spec = saved.spec
    counts = release.panel(recipe, home)
    store, name = open_store(home.database_url), in_use(recipe, home)
    last = latest_forecasts(store, name)["made_at"].max()
    windows = _windows(_until(counts, seen), spec, last)
    if not len(windows):
        return Foreseen((), 0)
    values = predict(saved.model, windows)
    ends = _ends(saved.intervals, values, windows)
    promise = release.promise(recipe, counts, home)
    rows = 0
    for at, moment in enumerate(windows.times):
        times = pd.date_range(moment, periods=spec.horizon, freq=counts.interval, name="time")
        frame = [pd.DataFrame(one[at].round(2), times, counts.regions) for one in (values, *ends)]
        rows += append_forecasts(store, name, _forecast(model, moment, frame, promise, recipe))
    return Foreseen(tuple(windows.times), rows)


def _forecast(
    model: Champion, moment: Any, frames: list[pd.DataFrame], promise: Promise, recipe: Recipe
) -> Forecast:
    low, high = frames[1:] if len(frames) == 3 else (None, None)
    return Forecast(
        run=model.run_id,
        made_at=moment.to_pydatetime(),
        values=frames[0],
        mechanism=recipe.privacy.mechanism,
        unit=promise.unit,
        epsilon=promise.epsilon,
        delta=promise.delta,
        lower=low,
        upper=high,
    )


def _until(counts: Panel, seen: pd.Timestamp) -> Panel:
    """The panel up to a moment, with rows of NaN where nothing was released."""
    times = pd.date_range(
        counts.times[0],
        max(seen - counts.interval, counts.times[-1]),
        freq=counts.interval,
        name="time",
    )
    return Panel(counts.counts.reindex(times), counts.source)


def _windows(panel: Panel, spec: WindowSpec, last: Any) -> Windows:
    """Windows that look ahead from every moment after `last`; the last of them from the end."""
    filled = fill_gaps(panel)
    ahead = pd.date_range(filled.times[-1], periods=spec.horizon + 1, freq=filled.interval)[1:]
    times = pd.DatetimeIndex(filled.times.append(ahead), name="time")
    longer = Panel(filled.counts.reindex(times), panel.source)
    windows = make(longer, longer, spec)
    windows = windows.take(slice(max(0, len(windows) - _MOST), None))
    if pd.isna(last):
        return windows.take(slice(len(windows) - 1, None))
    return windows.take(np.asarray(windows.times > pd.Timestamp(last)))


def _ends(intervals: Intervals | None, values: Any, windows: Windows) -> tuple[Any, ...]:
    if intervals is None or LEVEL not in intervals.widths:
        return ()
    return intervals.around(values, windows, LEVEL)
