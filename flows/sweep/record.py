"""What a sweep leaves behind: a table, pictures, and one MLflow run with a child a training."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data.panel import Panel
from dp.ledger import fingerprint, local_secret
from dp.ledger.identity import release_key
from flows.pipeline.evaluate import NOT_PRIVATE
from flows.pipeline.record import write_figures
from flows.settings import Home
from flows.sweep import figure, page
from flows.sweep.cost import Announcement, kept_in
from flows.sweep.grid import Point
from flows.tracking import Record, Tracker

Row = dict[str, Any]
Results = list[dict[str, Any]]

_RECORDED = "recorded"
"""Runs in MLflow are kept under this name, by all recipes."""


def write(
    points: list[Point],
    rates: dict[Point, float | None],
    recipes: list[dict[str, Any]],
    results: Results,
    total: Announcement,
    panel: Panel,
    home: Home,
) -> dict[str, Any]:
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
        The document that `veilcast sweep --json` prints.
    """
    secret = local_secret(home.secret)
    about_all = {"recipes": recipes, "data": fingerprint(secret, panel.counts)}
    key = release_key(secret, about_all)[:12]
    seeds = len(recipes) // len(points)
    documents = [
        {**result["document"], "point": points[at // seeds].title}
        for at, result in enumerate(results)
    ]
    table = rows(points, rates, documents)
    said = asdict(total)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = {
            "frontier": page.write(table, said, folder / f"sweep-{key}.html"),
            "picture": figure.write(table, said, folder / f"sweep-{key}.png"),
            **figure.tables(documents, folder / f"sweep-{key}"),
        }
        tracker = Tracker(home)
        kept = kept_in(home)
        about = {"recipes": key, "store": home.tracking_uri}
        made = kept.known(_RECORDED, **about)
        if made is None or not tracker.has(made["run_id"]):
            made = _record(tracker, table, documents, results, folder, total)
            kept.put(made, _RECORDED, **about)
        for path in files.values():
            (home.reports / path.name).write_bytes(path.read_bytes())
    for document, run in zip(documents, made["children"], strict=True):
        document["run_id"] = run
    return {
        "run_id": made["run_id"],
        "total": said,
        "points": documents,
        "table": table,
        "evaluation": NOT_PRIVATE,
        **{name: str(home.reports / path.name) for name, path in files.items()},
    }


def rows(
    points: list[Point], rates: dict[Point, float | None], documents: list[dict[str, Any]]
) -> list[Row]:
    """One row a point: its promise, its learning rate, its error over the seeds in persons."""
    table, seeds = [], len(documents) // len(points)
    for number, point in enumerate(points):
        runs = documents[number * seeds : (number + 1) * seeds]
        errors = [run["rmse"]["mean"] for run in runs]
        spent = [run["epsilon"] for run in runs if run["epsilon"] is not None]
        table.append(
            {
                **vars(point),
                "asked": point.epsilon,
                "epsilon": max(spent) if spent else None,
                "delta": runs[0]["delta"],
                "neighbours": runs[0]["neighbours"],
                "learning_rate": rates[point],
                "rmse": statistics.fmean(errors),
                "sd": statistics.stdev(errors) if seeds > 1 else None,
                "seeds": seeds,
                "baselines": {
                    name: score["rmse"]["mean"]
                    for name, score in runs[0]["baselines"].items()
                    if score
                },
            }
        )
    return table


def _record(
    tracker: Tracker,
    table: list[Row],
    documents: list[dict[str, Any]],
    results: Results,
    folder: Path,
    total: Announcement,
) -> dict[str, Any]:
    """One run for the sweep, with the figures of its best point, and a child for every training."""
    best = min(table, key=lambda row: float(row["rmse"]))
    units = " ".join(one.unit for one in total.units) or "no privacy"
    title = f"sweep of {total.points} points, {units}"
    with tracker.sweep(title, documents[0]["source"]) as parent:
        for document, result in zip(documents, results, strict=True):
            record, files = Record(**result["record"]), Path(result["files"])
            with parent.child(record.title) as run:
                write_figures({"run_id": run.run_id, **document}, files)
                run.log(record, files)
        parent.log(
            Record(
                title=title,
                parameters={
                    "source": documents[0]["source"],
                    "points": total.points,
                    "trainings": total.trainings,
                    "units": units,
                },
                metrics={"best_rmse": best["rmse"]},
                tags={
                    "evaluation": NOT_PRIVATE,
                    "source": documents[0]["source"],
                    **{
                        f"epsilon charged {one.unit} delta {one.delta:g}": one.epsilon
                        for one in total.units
                    },
                },
            ),
            folder,
        )
        return {"run_id": parent.run_id, "children": parent.children}
