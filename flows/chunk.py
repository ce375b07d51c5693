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

from dp.seed import Seed
from flows import evaluate, outcome, prepare, privatise
from flows.fit import Fit, fit_together
from flows.kept import Kept
from flows.outcome import Outcome
from flows.prepare import Prepared
from flows.privatise import Privatised
from flows.recipe import Recipe, from_dict
from flows.settings import Home, open_home
from flows.steps import ingest_step, validate_step
from models.errors import ModelError

Values = dict[str, dict[str, Any]]


TRAINED = "trained"
"""Kept under this name, by the recipe."""


@task(name="chunk", cache_policy=NO_CACHE, persist_result=False, retries=2, retry_delay_seconds=5)
def chunk_step(
    recipes: list[Values], seeds: list[Seed], root: str, threads: int | None
) -> list[dict[str, Any]]:
    """Train a chunk in whatever process the runner chose.

    Args:
        recipes: of the trainings.
        seeds: of their noise, where it is that of a private training: a chunk that is lost with its
            worker is done again with the same noise, under the same charge.
        root: the home folder; the same one for all workers.
        threads: of torch in this process; None for its own choice.
    """
    os.environ["VEILCAST_HOME"] = root
    if threads is not None:
        torch.set_num_threads(threads)
    return train_chunk(recipes, seeds, open_home())


def train_chunk(
    recipes: Sequence[Values], seeds: Sequence[Seed], home: Home
) -> list[dict[str, Any]]:
    """Figures of each training; those that are done are not done again.

    Each has `document` (as `veilcast train --json` prints it, without a run), `record` (what MLflow
    is told) and `files`, a folder.
    """
    keep = Kept(home.root / "sweep")
    todo = [
        (recipe, seed)
        for recipe, seed in zip(recipes, seeds, strict=True)
        if keep.known(TRAINED, recipe=recipe) is None
    ]
    if todo:
        plans = [(from_dict(recipe), seed) for recipe, seed in todo]
        results = _outcomes(plans, home)
        for (recipe, _), result in zip(todo, results, strict=True):
            if isinstance(result, Outcome):
                keep.put(_written(result, keep.folder, home), TRAINED, recipe=recipe)
        for result in results:  # once what did not fail is kept
            if isinstance(result, ModelError):
                raise result
    return [keep.known(TRAINED, recipe=recipe) or {} for recipe in recipes]


def _outcomes(plans: Sequence[tuple[Recipe, Seed]], home: Home) -> list[Outcome | ModelError]:
    """Privatise, window, train and evaluate, all of one source."""
    # where any training has a mechanism, nothing is read off events that is not declared
    first = next((one for one, _ in plans if one.privacy.mechanism != "none"), plans[0][0])
    raw, findings = validate_step.fn(ingest_step.fn(first), first.source.max_gap)
    started = time.perf_counter()
    privatised: dict[str, Privatised] = {}
    prepared: dict[str, Prepared] = {}
    jobs, inputs = [], []
    for plan, seed in plans:
        private = plan.privacy.mechanism == "gradient"
        counts = repr((plan.source, plan.privacy))  # trainings that read the same share its windows
        if counts not in privatised:
            privatised[counts] = privatise.privatise(raw, plan, home)
        used = privatised[counts]
        windows = repr((counts if used.promise.release else private, plan.windows))
        if windows not in prepared:
            prepared[windows] = prepare.prepare(used, raw, plan.windows, repair=not private)
        jobs.append(Fit(prepared[windows], plan, used.promise, home, _unheard, seed))
        inputs.append(used)
    results: list[Outcome | ModelError] = []
    for (plan, _), job, used, fitted in zip(plans, jobs, inputs, fit_together(jobs), strict=True):
        if isinstance(fitted, ModelError):
            results.append(fitted)
            continue
        private = plan.privacy.mechanism == "gradient"
        scores = evaluate.evaluate(fitted, job.prepared, ridge=not private)
        results.append(Outcome(plan, findings, used, job.prepared, fitted, scores, started))
    return results


def _unheard(_epoch: int, _figures: dict[str, float]) -> None:
    """Epochs of a sweep are not logged one by one."""


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
