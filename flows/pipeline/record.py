"""Recording of a run: model, statement, report and figures to disk, and its row in MLflow."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

from flows.document import Document
from flows.pipeline import figures, report
from flows.pipeline.completed import Completed, result_of
from flows.pipeline.result import RunResult
from flows.settings import Home
from flows.tracking import ActiveRun, Record
from models import checkpoint


def record(completed: Completed, run: ActiveRun, home: Home) -> RunResult:
    """Write model, report and figures, and complete the MLflow run with all of them.

    Args:
        completed: what to record.
        run: of MLflow.
        home: where reports go.

    Returns:
        The result, with its id and paths.
    """
    page, picture = home.reports / f"{run.run_id}.html", home.reports / f"{run.run_id}.png"
    result = replace(
        result_of(completed, home), run_id=run.run_id, report=str(page), figure=str(picture)
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_model(completed, folder)
        write_documents(result, folder)
        wide, narrow = (
            figures.figure(
                completed.prepared,
                completed.privatised.inputs,
                completed.guarantee,
                completed.evaluation.forecast,
                completed.fitted.intervals,
                columns=columns,
            )
            for columns in (2, 1)
        )
        curves = figures.promise_figure(result.statement)
        upright = figures.promise_figure(result.statement, narrow=True)
        promises = (curves, upright) if curves and upright else None
        text = report.page(result, completed.recipe, completed.findings, (wide, narrow), promises)
        if curves:
            (folder / "statement.png").write_bytes(curves)
        (folder / "forecast.png").write_bytes(wide)
        (folder / "report.html").write_text(text)
        run.log(mlflow_record(completed, result), folder)
        picture.write_bytes(wide)
        page.write_text(text)
    return result


def write_model(completed: Completed, folder: Path) -> None:
    """Write what is needed to forecast, and to train once more."""
    checkpoint.save(completed.fitted.model, folder / "model", _to_forecast_with(completed))
    (folder / "recipe.toml").write_text(completed.recipe.to_toml())


def write_documents(result: RunResult, folder: Path) -> None:
    """Write statement and result of a run that has its id."""
    document = result.to_dict()
    (folder / "statement.json").write_text(json.dumps(result.statement, indent=2))
    (folder / "statement.md").write_text(report.statement_text(result))
    (folder / "result.json").write_text(json.dumps(document, indent=2))


def mlflow_record(completed: Completed, result: RunResult) -> Record:
    """Build what MLflow compares runs by: at most 25 parameters."""
    recipe, guarantee = completed.recipe, completed.guarantee
    spec = completed.prepared.spec
    training = recipe.training
    charged = result.ledger
    # A run without proof of noise is charged all the same, and promises nothing.
    proven = charged if guarantee.epsilon is not None else None
    values: dict[str, float | None] = {
        "rmse": result.rmse.mean,
        "mae": result.mae.mean,
        "smape": result.smape.mean,
        "mase": result.mase.mean,
        **{f"coverage {level}": share for level, share in result.coverage.items()},
        **{f"rmse {region}": error for region, error in result.rmse.regions.items()},
        **{f"{name}_rmse": errors.rmse.mean for name, errors in result.baselines.items() if errors},
    }
    if result.weight_distance:
        values["weight_distance_per_log_update"] = result.weight_distance["slope"]
    return Record(
        title=_title(completed),
        parameters={
            "source": result.source,
            "mechanism": recipe.privacy.mechanism,
            "unit": guarantee.unit,
            "epsilon": guarantee.epsilon,
            "delta": guarantee.delta,
            "sensitivity": guarantee.sensitivity,
            "sigma": guarantee.sigma,
            "model": recipe.model.name,
            "hidden": recipe.model.hidden,
            "layers": recipe.model.layers,
            "dropout": recipe.model.dropout,
            "linear_skip": recipe.model.linear_skip,
            "lags": spec.lags,
            "seasonal": " ".join(recipe.windows.seasonal),
            "horizon": spec.horizon,
            "optimizer": recipe.optimizer,
            "learning_rate": training.learning_rate,
            "batch_size": training.batch_size,
            "epochs": training.epochs,
            "patience": training.patience,
            "grad_norm": training.grad_norm,
            "weight_decay": training.weight_decay,
            "loss": training.loss,
            "schedule": training.schedule,
            "seed": training.seed,
        },
        metrics={name: value for name, value in values.items() if value is not None},
        tags={
            "mechanism": recipe.privacy.mechanism,
            "unit": proven and proven.unit,
            "epsilon": proven and proven.epsilon,
            "delta": proven and proven.delta,
            "neighbours": proven and proven.neighbours,
            "epsilon_naive_one_window": guarantee.epsilon_naive,
            "private": proven is not None,
            "sigma": guarantee.sigma,
            "ledger_entry": charged and charged.entry,
            "ledger_hash": charged and charged.hash,
            "ledger_data_set": charged and charged.dataset,
            "evaluation": completed.judged,
            "source": result.source,
        },
    )


def _title(completed: Completed) -> str:
    """Name the run: what is trained, and the whole promise where there is one."""
    guarantee, name = completed.guarantee, completed.recipe.model.name
    if guarantee.unit is None:
        return f"{name} none"
    budget = f"({guarantee.epsilon:.4g}, {guarantee.delta:g})"
    title = f"{name} {completed.recipe.privacy.mechanism} {guarantee.unit} {budget}"
    if guarantee.stream is None:
        return title
    return f"{title}, counts until {completed.prepared.truth.ends[-1]:%Y-%m-%d %H:%M}"


def _to_forecast_with(completed: Completed) -> Document:
    """Return what `veilcast forecast` needs beside the weights."""
    spec = completed.prepared.spec
    return {
        "seasonal": list(spec.seasonal),
        "seasons": spec.seasons,
        "intervals": None
        if completed.fitted.intervals is None
        else completed.fitted.intervals.to_dict(),
        "interval_seconds": int(completed.prepared.inputs.interval.total_seconds()),
        "release": completed.guarantee.release,
        "stream": completed.guarantee.stream,
    }
