"""Recording of a run: model, statement, report and figures to disk, and its row in MLflow."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from flows.pipeline import figures, report
from flows.pipeline.result import Outcome, comparable, described
from flows.settings import Home
from flows.tracking import ActiveRun
from models import checkpoint


def record(outcome: Outcome, run: ActiveRun, home: Home) -> dict[str, Any]:
    """Write model, report and figure, and complete the MLflow run with all of them.

    Returns:
        The document that `veilcast train --json` prints.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        document = {
            "run_id": run.run_id,
            **described(outcome, home),
            "report": str(home.reports / f"{run.run_id}.html"),
            "figure": str(home.reports / f"{run.run_id}.png"),
        }
        write_model(outcome, folder)
        write_figures(document, folder)
        figure, narrow = (
            figures.figure(
                outcome.prepared,
                outcome.privatised.inputs,
                outcome.promise,
                outcome.evaluation.forecast,
                outcome.fitted.intervals,
                columns=columns,
            )
            for columns in (2, 1)
        )
        promise = figures.promise_figure(document["statement"])
        upright = figures.promise_figure(document["statement"], narrow=True)
        promises = (promise, upright) if promise and upright else None
        page = report.page(document, outcome.recipe, outcome.findings, (figure, narrow), promises)
        if promise:
            (folder / "statement.png").write_bytes(promise)
        (folder / "forecast.png").write_bytes(figure)
        (folder / "report.html").write_text(page)
        run.log(comparable(outcome, document), folder)
        Path(document["figure"]).write_bytes(figure)
        Path(document["report"]).write_text(page)
    return document


def write_model(outcome: Outcome, folder: Path) -> None:
    """What is needed to forecast, and to do it again."""
    checkpoint.save(outcome.fitted.model, folder / "model", _to_forecast_with(outcome))
    (folder / "recipe.toml").write_text(outcome.recipe.to_toml())


def write_figures(document: dict[str, Any], folder: Path) -> None:
    """What came out, and what was promised, of a run that has its id."""
    (folder / "statement.json").write_text(json.dumps(document["statement"], indent=2))
    (folder / "statement.md").write_text(report.statement_text(document))
    (folder / "result.json").write_text(json.dumps(document, indent=2))


def _to_forecast_with(outcome: Outcome) -> dict[str, Any]:
    """What `veilcast forecast` needs beside the weights."""
    spec = outcome.prepared.spec
    return {
        "seasonal": list(spec.seasonal),
        "seasons": spec.seasons,
        "intervals": None
        if outcome.fitted.intervals is None
        else outcome.fitted.intervals.to_dict(),
        "interval_seconds": int(outcome.prepared.inputs.interval.total_seconds()),
        "release": outcome.promise.release,
        "stream": outcome.promise.stream,
    }
