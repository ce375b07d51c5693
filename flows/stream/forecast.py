"""Forecasts of a stream: made from released counts and written to the store, one per interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.clean import fill_gaps
from data.panel import Panel
from data.store import Forecast, append_forecasts, latest_forecasts, open_store
from data.windows import Windows, WindowSpec, make
from flows.pipeline.guarantee import Guarantee
from flows.recipe.recipe import Recipe
from flows.settings import Home
from flows.stream import release
from flows.stream.champion import Champion
from flows.stream.names import in_use
from models.checkpoint import open_model
from models.conformal import Intervals
from models.predict import predict

LEVEL = 0.9
"""Level of the prediction intervals that are written."""
_MOST = 96
"""Missed forecasts that are made later, at most, after the loop did not run."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class WrittenForecasts:
    """Forecasts that were written to the store.

    Attributes:
        made: moments, by the panel's clock, that they were made at.
        rows: number of rows written.
    """

    made: tuple[pd.Timestamp, ...]
    rows: int


def write_forecasts(
    recipe: Recipe, home: Home, model: Champion, seen: pd.Timestamp
) -> WrittenForecasts:
    """Write a forecast for every moment that has none yet, up to the end of the source's data.

    A forecast is identified by the moment that it is made at, so that making it again changes nothing.
    Intervals that were not released are repaired from released ones, like any gap.

    Args:
        recipe: of the stream.
        home: where store and ledger are.
        model: the model in use.
        seen: end of the last interval of the source, released or not.
    """
    saved = open_model(model.files)
    spec = saved.spec
    counts = release.panel(recipe, home)
    store, name = open_store(home.database_url), in_use(recipe, home)
    last = latest_forecasts(store, name)["made_at"].max()
    windows = _windows(_until(counts, seen), spec, last)
    if not len(windows):
        return WrittenForecasts((), 0)
    values = predict(saved.model, windows)
    ends = _ends(saved.intervals, values, windows)
    guarantee = release.guarantee(recipe, counts, home)
    rows = 0
    for row, moment in enumerate(windows.times):
        times = pd.date_range(moment, periods=spec.horizon, freq=counts.interval, name="time")
        frames = [
            pd.DataFrame(block[row].round(2), times, counts.regions) for block in (values, *ends)
        ]
        rows += append_forecasts(store, name, _forecast(model, moment, frames, guarantee, recipe))
    return WrittenForecasts(tuple(windows.times), rows)


def _forecast(
    model: Champion,
    moment: pd.Timestamp,
    frames: list[pd.DataFrame],
    guarantee: Guarantee,
    recipe: Recipe,
) -> Forecast:
    low, high = frames[1:] if len(frames) == 3 else (None, None)
    return Forecast(
        run=model.run_id,
        made_at=moment.to_pydatetime(),
        values=frames[0],
        mechanism=recipe.privacy.mechanism,
        unit=guarantee.unit,
        epsilon=guarantee.epsilon,
        delta=guarantee.delta,
        lower=low,
        upper=high,
    )


def _until(counts: Panel, seen: pd.Timestamp) -> Panel:
    """Return the panel up to a moment, with rows of NaN where nothing was released."""
    times = pd.date_range(
        counts.times[0],
        max(seen - counts.interval, counts.times[-1]),
        freq=counts.interval,
        name="time",
    )
    return Panel(counts.counts.reindex(times), counts.source)


def _windows(panel: Panel, spec: WindowSpec, last: pd.Timestamp) -> Windows:
    """Return windows for every moment after `last`; the last one forecasts from the panel's end."""
    filled = fill_gaps(panel)
    ahead = pd.date_range(filled.times[-1], periods=spec.horizon + 1, freq=filled.interval)[1:]
    times = pd.DatetimeIndex(filled.times.append(ahead), name="time")
    longer = Panel(filled.counts.reindex(times), panel.source)
    windows = make(longer, longer, spec)
    windows = windows.take(slice(max(0, len(windows) - _MOST), None))
    if pd.isna(last):
        return windows.take(slice(len(windows) - 1, None))
    return windows.take(np.asarray(windows.times > pd.Timestamp(last)))


def _ends(intervals: Intervals | None, values: Floats, windows: Windows) -> tuple[Floats, ...]:
    if intervals is None or LEVEL not in intervals.widths:
        return ()
    return intervals.around(values, windows, LEVEL)
