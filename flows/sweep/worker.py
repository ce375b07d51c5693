"""Trainings of a sweep that one worker does together: recipes in, figures and files out.

A worker gets recipes and reads the source itself, so that no count travels between machines.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from prefect import task
from prefect.cache_policies import NO_CACHE

from data.errors import DataError
from data.findings import Finding
from data.panel import Panel
from dp.budget import BudgetRefused
from dp.errors import ReleaseLostError
from dp.mechanisms.seed import Seed
from flows.document import Document
from flows.errors import SetupError, UsageError
from flows.pipeline import evaluate, privatise
from flows.pipeline.completed import Completed, result_of
from flows.pipeline.fit import Fit, fit_together
from flows.pipeline.privatise import Privatised
from flows.pipeline.record import mlflow_record, write_model
from flows.pipeline.steps import ingest_step, validate_step
from flows.pipeline.windows import Prepared, prepare
from flows.recipe.recipe import Recipe, from_dict
from flows.runtime.notify import error_of
from flows.settings import Home, open_home
from flows.sweep.cost import kept_in
from flows.sweep.result import Lost, Trained
from models.errors import ModelError

if TYPE_CHECKING:
    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun

Values = dict[str, Document]


TRAINED = "trained"
"""Kept under this name, by recipe and data."""


def _may_pass(_task: Task[..., object], _run: TaskRun, state: State[object]) -> bool:
    """Decide whether to retry: not what was refused, and not what diverged."""
    ours = (BudgetRefused, DataError, ModelError, ReleaseLostError, SetupError, UsageError)
    return not isinstance(error_of(state), ours)


@task(
    name="chunk",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=_may_pass,
)
def chunk_step(
    recipes: list[Values], seeds: list[Seed], root: str, threads: int | None
) -> list[Trained | Lost]:
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
) -> list[Trained | Lost]:
    """Figures of each training; those that are done, of the same data, are not done again.

    One that was charged earlier and lost has the reason in its place.
    """
    keep = kept_in(home)
    parsed = [from_dict(recipe) for recipe in recipes]
    # where any training has a mechanism, nothing is read off events that is not declared
    first = next((one for one in parsed if one.privacy.mechanism != "none"), parsed[0])
    raw, findings = validate_step.fn(ingest_step.fn(first), first.source.max_gap)

    def known(recipe: Values) -> Trained | None:
        document = keep.known(TRAINED, recipe=recipe, panel=raw)
        return None if document is None else Trained.from_dict(document)

    todo = [place for place, recipe in enumerate(recipes) if known(recipe) is None]
    done: dict[int, Trained | Lost] = {}
    if todo:
        plans = [(parsed[place], seeds[place]) for place in todo]
        results = _completed(plans, raw, findings, home)
        for place, result in zip(todo, results, strict=True):
            if isinstance(result, Completed):
                trained = _written(result, keep.folder, home)
                keep.put(trained.to_dict(), TRAINED, recipe=recipes[place], panel=raw)
                done[place] = trained
            elif isinstance(result, ReleaseLostError):
                done[place] = Lost(str(result))
        for result in results:  # once what did not fail is kept
            if isinstance(result, ModelError):
                raise result
    results_of_all = [done.get(place) or known(recipe) for place, recipe in enumerate(recipes)]
    return [result for result in results_of_all if result is not None]


def _completed(
    plans: Sequence[tuple[Recipe, Seed]], raw: Panel, findings: tuple[Finding, ...], home: Home
) -> list[Completed | ModelError | ReleaseLostError]:
    """Privatise, window, train and evaluate, all of one source."""
    started = time.perf_counter()
    privatised: dict[str, Privatised | ReleaseLostError] = {}
    prepared: dict[str, Prepared] = {}
    jobs, inputs = [], {}
    results: dict[int, Completed | ModelError | ReleaseLostError] = {}
    for place, (plan, seed) in enumerate(plans):
        private = plan.privacy.mechanism == "gradient"
        counts = repr((plan.source, plan.privacy))  # trainings that read the same share its windows
        if counts not in privatised:
            privatised[counts] = _privatised(raw, plan, home)
        used = privatised[counts]
        if isinstance(used, ReleaseLostError):
            results[place] = used
            continue
        windows = repr((counts if used.guarantee.release else private, plan.windows))
        if windows not in prepared:
            prepared[windows] = prepare(used, raw, plan.windows, repair=not private)
        jobs.append(Fit(prepared[windows], plan, used.guarantee, home, _unheard, seed, again=False))
        inputs[place] = used
    for (place, used), job, fitted in zip(inputs.items(), jobs, fit_together(jobs), strict=True):
        if isinstance(fitted, ModelError | ReleaseLostError):
            results[place] = fitted
            continue
        plan = job.recipe
        private = plan.privacy.mechanism == "gradient"
        scores = evaluate.evaluate(fitted, job.prepared, ridge=not private)
        results[place] = Completed(plan, findings, used, job.prepared, fitted, scores, started)
    return [results[place] for place in range(len(plans))]


def _privatised(raw: Panel, plan: Recipe, home: Home) -> Privatised | ReleaseLostError:
    """Noised counts; a chunk that is tried again does not pay for another draw of them."""
    try:
        return privatise.privatise(raw, plan, home, again=False)
    except ReleaseLostError as error:
        return error


def _unheard(_epoch: int, _figures: dict[str, float]) -> None:
    """Epochs of a sweep are not logged one by one."""


def _written(completed: Completed, folder: Path, home: Home) -> Trained:
    """Write a training's files; they are in place, whole, before anybody is told where."""
    result = result_of(completed, home)
    record = mlflow_record(completed, result)
    partial = Path(tempfile.mkdtemp(dir=folder, prefix="partial-"))
    try:
        write_model(completed, partial)
        place = folder / f"files-{partial.name.removeprefix('partial-')}"
        partial.rename(place)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Trained(result, record, place)
