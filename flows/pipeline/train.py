"""The spine: from real counts to a recorded, private forecast."""

from __future__ import annotations

import time
from typing import Any

from prefect import flow

from flows.pipeline.result import Outcome
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
def train(recipe: dict[str, Any]) -> dict[str, Any]:
    """Train and record one forecaster.

    Args:
        recipe: values of a recipe (`flows.recipe.load.load`); missing ones take their defaults.

    Returns:
        The document that `veilcast train --json` prints.
    """
    started = time.perf_counter()
    plan, home = from_dict(recipe), open_home()
    table = ingest_step(plan)
    raw, findings = validate_step(
        table, plan.source.max_gap, values=plan.privacy.mechanism == "none"
    )
    privatised = privatise_step(raw, plan, home)
    prepared = window_step(privatised, raw, plan)
    title = f"{plan.model.name} {plan.privacy.mechanism}"
    with Tracker(home).run(title, raw.source) as run:
        fitted = train_step(prepared, plan, privatised.promise, home, run.log_epoch)
        evaluation = evaluate_step(fitted, prepared, ridge=plan.privacy.mechanism != "gradient")
        result = Outcome(plan, findings, privatised, prepared, fitted, evaluation, started)
        return record_step(result, run, home)
