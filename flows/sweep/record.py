"""Records of sweeps: a table, pictures, and one MLflow run with one child per training."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

from data.panel import Panel
from dp.ledger import fingerprint, local_secret
from dp.ledger.identity import release_key
from flows.document import Document
from flows.pipeline.evaluate import NOT_PRIVATE
from flows.pipeline.record import write_documents
from flows.pipeline.result import RunResult
from flows.settings import Home
from flows.sweep import figure, page
from flows.sweep.cost import Announcement, kept_in
from flows.sweep.grid import Point
from flows.sweep.result import Row, SweepResult, Trained
from flows.tracking import Record, Tracker

_RECORDED = "recorded"
"""Runs in MLflow are kept under this name, by all recipes."""


def write(
    points: list[Point],
    rates: dict[Point, float | None],
    recipes: list[Document],
    results: list[Trained],
    total: Announcement,
    panel: Panel,
    home: Home,
) -> SweepResult:
    """Record every training, draw the frontier; a sweep that is recorded already is not again.

    Args:
        points: in order; with each, as many trainings as there are seeds.
        rates: learning rates by point; None for the recipe's own.
        recipes: of all trainings.
        results: of the same (`flows.sweep.worker.train_chunk`).
        total: what was announced.
        panel: raw, of which a keyed fingerprint tells whether this very sweep is recorded already.
        home: where everything goes.

    Returns:
        The recorded sweep.
    """
    secret = local_secret(home.secret)
    about_all = {"recipes": recipes, "data": fingerprint(secret, panel.counts)}
    key = release_key(secret, about_all)[:12]
    table = rows(points, rates, [trained.result for trained in results])
    titles = [point.title for point in points for _ in range(len(recipes) // len(points))]
    named = [(title, trained.result) for title, trained in zip(titles, results, strict=True)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = {
            "frontier": page.write(table, total, folder / f"sweep-{key}.html"),
            "picture": figure.write(table, total, folder / f"sweep-{key}.png"),
            **figure.tables(named, folder / f"sweep-{key}"),
        }
        tracker = Tracker(home)
        kept = kept_in(home)
        about = {"recipes": key, "store": home.tracking_uri}
        made = kept.known(_RECORDED, **about)
        if made is None or not tracker.has(made["run_id"]):
            made = _record(tracker, table, results, folder, total)
            kept.put(made, _RECORDED, **about)
        for path in files.values():
            (home.reports / path.name).write_bytes(path.read_bytes())
    return SweepResult(
        run_id=made["run_id"],
        total=total,
        points=tuple(
            (title, replace(result, run_id=run))
            for (title, result), run in zip(named, made["children"], strict=True)
        ),
        table=tuple(table),
        evaluation=NOT_PRIVATE,
        files={name: str(home.reports / path.name) for name, path in files.items()},
    )


def rows(
    points: list[Point], rates: dict[Point, float | None], results: list[RunResult]
) -> list[Row]:
    """Summarise the trainings of each point, one row per point."""
    table, seeds = [], len(results) // len(points)
    for number, point in enumerate(points):
        runs = results[number * seeds : (number + 1) * seeds]
        errors = [run.rmse.known_mean for run in runs]
        spent = [run.epsilon for run in runs if run.epsilon is not None]
        table.append(
            Row(
                mechanism=point.mechanism,
                unit=point.unit,
                epsilon=max(spent) if spent else None,
                model=point.model,
                optimizer=point.optimizer,
                asked=point.epsilon,
                delta=runs[0].delta,
                neighbours=runs[0].neighbours,
                learning_rate=rates[point],
                rmse=statistics.fmean(errors),
                sd=statistics.stdev(errors) if seeds > 1 else None,
                seeds=seeds,
                baselines={
                    name: scores.rmse.mean
                    for name, scores in runs[0].baselines.items()
                    if scores and scores.rmse.mean is not None
                },
            )
        )
    return table


def _record(
    tracker: Tracker,
    table: list[Row],
    results: list[Trained],
    folder: Path,
    total: Announcement,
) -> Document:
    """One run for the sweep, with the figures of its best point, and a child for every training."""
    best = min(table, key=lambda row: row.rmse)
    units = " ".join(one.unit for one in total.units) or "no privacy"
    title = f"sweep of {total.points} points, {units}"
    with tracker.sweep(title, results[0].result.source) as parent:
        for trained in results:
            with parent.child(trained.record.title) as run:
                write_documents(replace(trained.result, run_id=run.run_id), trained.files)
                run.log(trained.record, trained.files)
        parent.log(
            Record(
                title=title,
                parameters={
                    "source": results[0].result.source,
                    "points": total.points,
                    "trainings": total.trainings,
                    "units": units,
                },
                metrics={"best_rmse": best.rmse},
                tags={
                    "evaluation": NOT_PRIVATE,
                    "source": results[0].result.source,
                    **{
                        f"epsilon charged {one.unit} delta {one.delta:g}": one.epsilon
                        for one in total.units
                    },
                },
            ),
            folder,
        )
        return {"run_id": parent.run_id, "children": parent.children}
