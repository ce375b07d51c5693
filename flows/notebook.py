"""Notebooks: train a forecaster, open a run again, read it, draw it.

Everything that a `Run` shows is released or free: forecasts, noised counts, the statement. Raw counts
come only from `data.panel.Panel`, whose drawings say so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from data.panel import Panel
from flows.document import Document
from flows.errors import UsageError
from flows.forecasting.forecast import RunForecast, forecast_run
from flows.forecasting.saved_run import read_statement, released_panel
from flows.pipeline.result import RunResult
from flows.recipe.load import compose, load
from flows.recipe.recipe import Recipe, from_dict
from flows.runtime.engine import start_engine_for
from flows.settings import Home, open_home, quiet_environment
from flows.tracking import Tracker

__all__ = ["Run", "Statement", "list_runs", "load_run", "train"]


@dataclass(frozen=True)
class Statement:
    """The statement of a run: what is promised, to whom, under which assumptions.

    Attributes:
        values: the statement for machines.
        markdown: the same for people; notebooks show it.
    """

    values: Document
    markdown: str

    def __str__(self) -> str:
        """The statement for people."""
        return self.markdown

    def _repr_markdown_(self) -> str:
        return self.markdown


@dataclass(frozen=True)
class Run:
    """A saved run.

    Attributes:
        run_id: its id in MLflow.
        result: errors, guarantee, paths; `result.to_dict()` is the document of `veilcast train --json`.
        files: folder of its files.
        home: where releases are kept.
    """

    run_id: str
    result: RunResult = field(repr=False)
    files: Path = field(repr=False)
    home: Home = field(repr=False)

    def forecast(self) -> RunForecast:
        """The intervals after the end of its data; charges nothing."""
        return forecast_run(self.files, self.home)

    def statement(self) -> Statement:
        """Read its statement."""
        values = read_statement(self.files)
        return Statement(values, values.pop("markdown"))

    def released(self) -> Panel:
        """The noised counts that it was trained on, or that its forecasts read.

        Raises:
            UsageError: it released no counts.
        """
        panel = released_panel(self.files, self.home)
        if panel is None:
            raise UsageError(
                f"run {self.run_id[:8]} released no counts, it read raw ones "
                f"(mechanism={self.recipe().privacy.mechanism}); data.load.from_source(...).plot() "
                "draws those, and says so"
            )
        return panel

    def recipe(self) -> Recipe:
        """Its whole configuration."""
        return from_dict(load(str(self.files / "recipe.toml")))

    def _repr_markdown_(self) -> str:
        result = self.result
        return (
            f"**{result.model}** on {result.source}, run `{self.run_id[:8]}`: RMSE "
            f"{result.rmse.mean or math.nan:,.1f} persons ({result.evaluation}).\n\n"
            f"{result.statement['text']}"
        )


def load_run(run: str = "latest") -> Run:
    """A run by the start of its id, or the latest.

    Raises:
        UsageError: there is none, or several.
    """
    home = _opened()
    tracker = Tracker(home)
    run_id = tracker.find(run)["run_id"]
    files = tracker.files(run_id)
    try:
        result = RunResult.from_dict(json.loads((files / "result.json").read_text()))
    except FileNotFoundError:
        raise UsageError(f"run {run_id[:8]} has no result.json; train again") from None
    return Run(run_id, result, files, home)


def list_runs() -> pd.DataFrame:
    """All finished runs, a row each, latest first."""
    return pd.DataFrame(Tracker(_opened()).runs())


def train(recipe: str | None = None, settings: Mapping[str, Any] | None = None) -> Run:
    """Train and record one forecaster; what the mechanism costs is charged first.

    Args:
        recipe: a recipe's name or path; None for the defaults.
        settings: values by `section.field`, say `{"source.name": "counts.csv"}`.

    Raises:
        UsageError: an unknown field or an impossible value.
        DataError: the source cannot be used.
        BudgetRefused: a cap would be passed; nothing was drawn.
    """
    _opened()
    values = compose(recipe, dict(settings or {}), [])
    wait = start_engine_for(values)
    from flows.pipeline.train import train as flow

    wait()
    return load_run(flow(values).run_id)


def _opened() -> Home:
    home = open_home()
    quiet_environment(home)
    return home
