"""Forecasts of a saved run: the intervals after the end of its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data import validate
from data.clean import fill_gaps
from data.panel import Panel
from data.windows import latest
from flows.document import Document
from flows.forecasting.saved_run import released_panel
from flows.pipeline import read
from flows.recipe.load import load
from flows.recipe.recipe import Recipe, from_dict
from flows.settings import Home
from models.checkpoint import open_model
from models.predict import predict


@dataclass(frozen=True)
class RunForecast:
    """Forecast of the H intervals after the end of a run's data.

    Attributes:
        source: name of the source.
        values: forecast in persons, a frame [H, R] of interval starts × regions.
        ends: low and high ends of the prediction intervals by level, frames like `values`.
        privacy: what the forecast discloses, in words.
        recent: the noised counts that it was made from; None if it was made from raw counts.
    """

    source: str
    values: pd.DataFrame
    ends: dict[float, tuple[pd.DataFrame, pd.DataFrame]]
    privacy: str
    recent: Panel | None = None

    def to_dict(self) -> Document:
        """Return the document of `veilcast forecast --json`, without the run."""
        return {
            "source": self.source,
            "times": [str(time) for time in self.values.index],
            "regions": list(self.values.columns),
            "forecast": _rounded(self.values),
            "intervals": {
                f"{level:g}": {"low": _rounded(low), "high": _rounded(high)}
                for level, (low, high) in self.ends.items()
            },
            "privacy": self.privacy,
        }

    def plot(self, regions: Sequence[str] | None = None, *, days: float = 3) -> Any:
        """Draw the forecast after the released counts, one plot per region.

        Raw counts are never drawn: a forecast made from them is drawn alone.

        Args:
            regions: names; by default the first dozen.
            days: how many days of released counts to draw before it.

        Returns:
            matplotlib axes, [R].

        Raises:
            ValueError: an unknown region.
        """
        from flows.forecasting.figure import figure

        before = None
        if self.recent is not None:
            first = self.values.index[0] - pd.Timedelta(days=days)
            before = self.recent.counts[self.recent.times >= first]
        return figure(
            self.values,
            self.ends,
            before,
            title=f"Next intervals of {self.source}, in persons",
            caption=self.privacy[0].upper() + self.privacy[1:] + ".",
            regions=regions,
        )


def forecast_run(files: Path, home: Home) -> RunForecast:
    """Forecast the H intervals after the end of the data that a run was trained on.

    Under `input` the model reads the stored release: nothing raw is read and nothing is charged.

    Args:
        files: the run's folder of files.
        home: where releases are stored.
    """
    recipe = from_dict(load(str(files / "recipe.toml")))
    saved = open_model(files / "model")
    panel = released_panel(files, home)
    if panel is None:
        panel = validate.to_panel(read.read(recipe), max_gap=recipe.source.max_gap)[0]
    window = latest(fill_gaps(panel), saved.spec)
    predicted = predict(saved.model, window)
    times = pd.DatetimeIndex(
        [window.times[0] + step * panel.interval for step in range(saved.spec.horizon)], name="time"
    )

    def frame(values: NDArray[np.float64]) -> pd.DataFrame:
        return pd.DataFrame(values[0].astype(float), times, list(window.regions))

    intervals = saved.intervals
    ends = (
        {}
        if intervals is None
        else {level: intervals.around(predicted, window, level) for level in intervals.widths}
    )
    return RunForecast(
        source=panel.source,
        values=frame(predicted),
        ends={level: (frame(low), frame(high)) for level, (low, high) in ends.items()},
        privacy=_disclosed(recipe, saved.extra),
        recent=panel if panel.noised else None,
    )


def _rounded(frame: pd.DataFrame) -> list[list[float]]:
    return [[round(float(value), 1) for value in row] for row in frame.to_numpy()]


def _disclosed(recipe: Recipe, extra: Document) -> str:
    """Say what a forecast discloses about people."""
    if extra["release"] or extra.get("stream"):
        return "from noised counts: post-processing of a release, nothing more is spent"
    if recipe.privacy.mechanism == "gradient":
        return (
            "from raw counts by a privately trained model: the weights are covered, the latest counts "
            "show in the forecast (train with --protect-inputs to cover them)"
        )
    return "from raw counts by a model without privacy: no guarantee"
