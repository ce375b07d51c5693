"""The model that `mlflow models serve` runs: latest counts in, forecast and interval out.

This file is copied into the model with the packages `data` and `models`, and imports nothing else of
the project.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from data.clean import fill_gaps
from data.panel import Panel
from data.windows import latest
from flows.document import Document
from models.checkpoint import open_model
from models.predict import predict


class Served(PythonModel):
    """A saved forecaster behind MLflow's interface.

    Args:
        files: a folder by `models.checkpoint.save`; MLflow gives it as the artifact `model`.
    """

    def __init__(self, files: Path | None = None) -> None:
        if files is not None:
            self._open(files)

    def load_context(self, context: Any) -> None:
        """Read the model."""
        self._open(Path(context.artifacts["model"]))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: Document | None = None
    ) -> pd.DataFrame:
        """Forecast the intervals after the last one.

        Args:
            context: MLflow's; not needed.
            model_input: `time` and one column a region, an interval a row; gaps are left out.
            params: `level` of the prediction interval.

        Returns:
            Columns time, region, forecast, low, high; the last two are empty where the model has no
            intervals of that level.
        """
        window = latest(fill_gaps(self._panel(model_input)), self._saved.spec)
        values = predict(self._saved.model, window)
        low = high = None
        level = float((params or {}).get("level", 0.9))
        intervals = self._saved.intervals
        if intervals is not None and level in intervals.widths:
            low, high = intervals.around(values, window, level)
        rows = [
            {
                "time": str(window.times[0] + step * window.interval),
                "region": region,
                "forecast": float(values[0, step, at]),
                "low": None if low is None else float(low[0, step, at]),
                "high": None if high is None else float(high[0, step, at]),
            }
            for step in range(values.shape[1])
            for at, region in enumerate(window.regions)
        ]
        return pd.DataFrame(rows).astype({"low": float, "high": float})

    def _open(self, files: Path) -> None:
        self._saved = open_model(files)

    def _panel(self, given: pd.DataFrame) -> Panel:
        counts = given.assign(time=pd.to_datetime(given["time"])).set_index("time").sort_index()
        interval = pd.Timedelta(seconds=self._saved.interval_seconds)
        regular = pd.date_range(counts.index[0], counts.index[-1], freq=interval, name="time")
        regions = list(self._saved.model.config.regions)
        return Panel(counts[regions].astype(float).reindex(regular), "request")


set_model(Served())
