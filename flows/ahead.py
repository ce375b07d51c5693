"""Forecasts from a saved run: the intervals after the end of its data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data import validate
from data.clean import fill_gaps
from data.panel import Panel
from data.store import open_store, read_panel
from data.windows import Windows, WindowSpec, latest
from flows import counted
from flows.compose import load
from flows.privatise import kept_release, suppressed
from flows.recipe import Recipe, from_dict
from flows.settings import Home
from models import saved
from models.conformal import Intervals
from models.predict import predict


def forecast_ahead(files: Path, home: Home) -> dict[str, Any]:
    """Forecast the H intervals after the end of the data that a run was trained on.

    Under `input` the model reads the kept release: nothing raw is touched and nothing is charged.

    Args:
        files: the run's folder of files.
        home: where releases are kept.

    Returns:
        `times`, `regions`, `forecast` [H, R] in persons, and `privacy`, what the forecast discloses.
    """
    recipe = from_dict(load(str(files / "recipe.toml")))
    model, extra = saved.load(files / "model"), saved.load_extra(files / "model")
    panel = _inputs(recipe, extra, home)
    config = model.config
    spec = WindowSpec(
        config.lags, tuple(extra["seasonal"]), config.horizon, config.around, extra["seasons"]
    )
    window = latest(fill_gaps(panel), spec)
    predicted = predict(model, window)
    values = predicted[0]
    times = [window.times[0] + step * panel.interval for step in range(config.horizon)]
    return {
        "source": panel.source,
        "times": [str(time) for time in times],
        "regions": list(config.regions),
        "forecast": [[round(float(value), 1) for value in row] for row in values],
        "intervals": _ends(extra["intervals"], predicted, window),
        "privacy": _disclosed(recipe, extra),
    }


def _ends(
    kept: dict[str, Any] | None, forecast: NDArray[np.float64], window: Windows
) -> dict[str, Any]:
    """Low and high end of the prediction intervals, by level, [H, R] each."""
    if kept is None:
        return {}
    found = Intervals.from_dict(kept)
    ends = {level: found.around(forecast, window, level) for level in found.widths}
    return {
        f"{level:g}": {"low": low[0].round(1).tolist(), "high": high[0].round(1).tolist()}
        for level, (low, high) in ends.items()
    }


def _disclosed(recipe: Recipe, extra: dict[str, Any]) -> str:
    """What a forecast tells about people."""
    if extra["release"] or extra.get("stream"):
        return "from noised counts: post-processing of a release, nothing more is spent"
    if recipe.privacy.mechanism == "gradient":
        return (
            "from raw counts by a privately trained model: the weights are covered, the latest counts "
            "show in the forecast (train with --protect-inputs to cover them)"
        )
    return "from raw counts by a model without privacy: no guarantee"


def _inputs(recipe: Recipe, extra: dict[str, Any], home: Home) -> Panel:
    """The counts that the model may read, with gaps."""
    if stream := extra.get("stream"):
        return read_panel(open_store(home.database_url), stream)
    if extra["release"] is None:
        return validate.to_panel(counted.read(recipe), max_gap=recipe.source.max_gap)[0]
    counts = suppressed(kept_release(extra["release"], home), recipe)
    interval = pd.Timedelta(seconds=extra["interval_seconds"])
    counts = counts.reindex(pd.date_range(counts.index[0], counts.index[-1], freq=interval))
    return replace(Panel(counts.rename_axis("time"), recipe.source.name))
