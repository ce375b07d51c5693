"""The stages of a run as Prefect tasks.

No task caches or persists what it returns: raw counts pass between the first of them in memory only.
"""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from data import validate
from data.findings import Finding
from data.panel import Panel
from data.sources import Table
from flows.document import Document
from flows.pipeline import evaluate, fit, privatise, read, windows
from flows.pipeline.completed import Completed
from flows.pipeline.evaluate import Evaluation
from flows.pipeline.fit import Fitted, Log
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import Privatised
from flows.pipeline.record import record
from flows.pipeline.result import RunResult
from flows.pipeline.windows import Prepared
from flows.recipe.recipe import Recipe
from flows.runtime import progress
from flows.settings import Home
from flows.tracking import ActiveRun

_PLAIN: Document = {"cache_policy": NO_CACHE, "persist_result": False}


@task(name="ingest", **_PLAIN)
def ingest_step(recipe: Recipe) -> Table:
    """Read the source, or count its events."""
    progress.stage(f"ingest: {recipe.source.name.split('://')[0]}")
    return read.read(recipe)


@task(name="validate", **_PLAIN)
def validate_step(
    table: Table, max_gap: str, *, values: bool = False
) -> tuple[Panel, tuple[Finding, ...]]:
    """Check the table; its counts are only looked at where no mechanism promises anything."""
    progress.stage("validate")
    return validate.to_panel(table, max_gap=max_gap, values=values)


@task(name="privatise", **_PLAIN)
def privatise_step(panel: Panel, recipe: Recipe, home: Home) -> Privatised:
    """Charge the ledger, then add noise. Never retried without its key."""
    progress.stage(f"privatise: {recipe.privacy.mechanism}")
    return privatise.privatise(panel, recipe, home)


@task(name="window", **_PLAIN)
def window_step(privatised: Privatised, raw: Panel, recipe: Recipe) -> Prepared:
    """Cut windows and periods."""
    progress.stage("window")
    repair = recipe.privacy.mechanism != "gradient"
    return windows.prepare(privatised, raw, recipe.windows, repair=repair)


@task(name="train", **_PLAIN)
def train_step(
    prepared: Prepared, recipe: Recipe, guarantee: Guarantee, home: Home, log: Log
) -> Fitted:
    """Train the forecaster; under `gradient`, charge the ledger first."""
    progress.stage("train", steps=recipe.training.epochs)
    return fit.fit(prepared, recipe, guarantee, home, log)


@task(name="evaluate", **_PLAIN)
def evaluate_step(fitted: Fitted, prepared: Prepared, *, ridge: bool) -> Evaluation:
    """Score model and baselines."""
    progress.stage("evaluate")
    return evaluate.evaluate(fitted, prepared, ridge=ridge)


@task(name="record", **_PLAIN)
def record_step(completed: Completed, run: ActiveRun, home: Home) -> RunResult:
    """Write report and files, and complete the MLflow run."""
    progress.stage("record")
    return record(completed, run, home)
