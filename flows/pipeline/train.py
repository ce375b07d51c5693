"""The spine: from real counts to a recorded, private forecast."""

from __future__ import annotations

import time

from prefect import flow

from flows.document import Document
from flows.pipeline.completed import Completed
from flows.pipeline.result import RunResult
from flows.pipeline.steps import (
    evaluate_step,
    ingest_step,
    privatise_step,
    record_step,
    train_step,
    validate_step,
    window_step,
)
from flows.recipe.recipe import from_dict
from flows.settings import open_home
from flows.tracking import Tracker


@flow(name="train", persist_result=False)
def train(values: Document) -> RunResult:
    """Train and record one forecaster.

    Args:
        values: of a recipe (`flows.recipe.load.load`); missing ones take their defaults.

    Returns:
        What the run publishes about itself.
    """
    started = time.perf_counter()
    recipe, home = from_dict(values), open_home()
    table = ingest_step(recipe)
    raw, findings = validate_step(
        table, recipe.source.max_gap, values=recipe.privacy.mechanism == "none"
    )
    privatised = privatise_step(raw, recipe, home)
    prepared = window_step(privatised, raw, recipe)
    title = f"{recipe.model.name} {recipe.privacy.mechanism}"
    with Tracker(home).run(title, raw.source) as run:
        fitted = train_step(prepared, recipe, privatised.guarantee, home, run.log_epoch)
        evaluation = evaluate_step(fitted, prepared, ridge=recipe.privacy.mechanism != "gradient")
        completed = Completed(recipe, findings, privatised, prepared, fitted, evaluation, started)
        return record_step(completed, run, home)
