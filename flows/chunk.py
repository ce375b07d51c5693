"""Trainings of a sweep that one worker does together: recipes in, figures and files out.

A worker gets recipes and reads the source itself, so that no count travels between machines.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from prefect import task
from prefect.cache_policies import NO_CACHE

from flows import evaluate, outcome, prepare, privatise
from flows.fit import fit
from flows.kept import Kept
from flows.outcome import Outcome
from flows.recipe import Recipe, from_dict
from flows.settings import Home, open_home
from flows.steps import ingest_step, validate_step

Values = dict[str, dict[str, Any]]


TRAINED = "trained"
"""Kept under this name, by the recipe."""


@task(name="chunk", cache_policy=NO_CACHE, persist_result=False, retries=2, retry_delay_seconds=5)
def chunk_step(recipes: list[Values], root: str, threads: int | None) -> list[dict[str, Any]]:
    """Train a chunk in whatever process the runner chose.

    Args:
        recipes: of the trainings.
        root: the home folder; the same one for all workers.
        threads: of torch in this process; None for its own choice.
    """
    os.environ["VEILCAST_HOME"] = root
    if threads is not None:
        torch.set_num_threads(threads)
    return train_chunk(recipes, open_home())


def train_chunk(recipes: Sequence[Values], home: Home) -> list[dict[str, Any]]:
    """Figures of each training; those that are done are not done again.

    Each has `document` (as `veilcast train --json` prints it, without a run), `record` (what MLflow
    is told) and `files`, a folder.
    """
    keep = Kept(home.root / "sweep")
    todo = [recipe for recipe in recipes if keep.known(TRAINED, recipe=recipe) is None]
    if todo:
        plans = [from_dict(recipe) for recipe in todo]
        for recipe, result in zip(todo, _outcomes(plans, home), strict=True):
            keep.put(_written(result, keep.folder, home), TRAINED, recipe=recipe)
    return [keep.known(TRAINED, recipe=recipe) or {} for recipe in recipes]


def _outcomes(plans: list[Recipe], home: Home) -> list[Outcome]:
    """Privatise, window, train and evaluate, all of one source."""
    (source,) = {plan.source for plan in plans}
    raw, findings = validate_step.fn(ingest_step.fn(source), source.max_gap)
    results = []
    for plan in plans:
        started = time.perf_counter()
        private = plan.privacy.mechanism == "gradient"
        privatised = privatise.privatise(raw, plan, home)
        prepared = prepare.prepare(privatised, raw, plan.windows, repair=not private)
        fitted = fit(prepared, plan, privatised.promise, home, lambda _epoch, _figures: None)
        scores = evaluate.evaluate(fitted, prepared, ridge=not private)
        results.append(Outcome(plan, findings, privatised, prepared, fitted, scores, started))
    return results


def _written(result: Outcome, folder: Path, home: Home) -> dict[str, Any]:
    """The figures; the files are in place, whole, before anybody is told where."""
    document = outcome.described(result, home)
    record = outcome.comparable(result, document)
    partial = Path(tempfile.mkdtemp(dir=folder, prefix="partial-"))
    try:
        outcome.write_model(result, partial)
        place = folder / f"files-{partial.name.removeprefix('partial-')}"
        partial.rename(place)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return {"document": document, "record": asdict(record), "files": str(place)}
