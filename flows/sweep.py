"""A sweep: a grid of trainings, its whole charge known and reserved before the first of them."""

from __future__ import annotations

import statistics
from typing import Any

from prefect import flow

from data.panel import Panel
from flows import frontier, progress
from flows.charges import announce, charge_all, charges_of, kept_in, known_rates, panel_of
from flows.forecast import train
from flows.grid import Grid, Point
from flows.kept import Kept
from flows.rehearse import best_rate
from flows.settings import Home, open_home


@flow(name="sweep", persist_result=False)
def sweep(grid: Grid) -> dict[str, Any]:
    """Train every point of a grid with every seed; points that are done are not done or charged again.

    Args:
        grid: what to compare.

    Returns:
        `points`, the documents of all trainings; `table`, a row a point; `total`, what was announced;
        `frontier`, the path of a picture.

    Raises:
        UsageError: a point is impossible.
        BudgetRefused: the whole sweep does not fit under the cap; nothing was charged or drawn.
    """
    home = open_home()
    points, panel = grid.points(), panel_of(grid)
    keep = kept_in(home)
    total = announce(grid, points, known_rates(keep, grid, points), panel, home)
    progress.stage("sweep", steps=len(points) * (grid.seeds + (1 if grid.trials else 0)))
    found = {point: _rate(keep, grid, point, panel, home) for point in points if _city(point)}
    charge_all(charges_of(grid, points, found, panel, home), home)
    found |= {point: _rate(keep, grid, point, panel, home) for point in points if not _city(point)}
    documents = [
        {**keep(_trained, label=point.title, recipe=recipe.to_dict()), "point": point.title}
        for point in points
        for recipe in (grid.at(point, seed, found[point]) for seed in range(grid.seeds))
    ]
    table = rows(points, found, documents, grid.seeds)
    return {
        "total": vars(total),
        "points": documents,
        "table": table,
        "evaluation": "evaluated on raw data, not a private release",
        **frontier.write(table, documents, vars(total), home.reports),
    }


def rows(
    points: list[Point],
    found: dict[Point, float | None],
    documents: list[dict[str, Any]],
    seeds: int,
) -> list[dict[str, Any]]:
    """One row a point: its promise, its learning rate, its error over the seeds in persons."""
    table = []
    for number, point in enumerate(points):
        runs = documents[number * seeds : (number + 1) * seeds]
        errors = [run["rmse"]["mean"] for run in runs]
        spent = [run["epsilon"] for run in runs if run["epsilon"] is not None]
        table.append(
            {
                **vars(point),
                "unit": runs[0]["unit"],
                "epsilon": max(spent) if spent else None,
                "delta": runs[0]["delta"],
                "neighbours": runs[0]["neighbours"],
                "learning_rate": found[point],
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


def _city(point: Point) -> bool:
    """Whether its learning rates are tried on a made-up city, before anything is charged."""
    return point.mechanism == "gradient"


def _rate(keep: Kept, grid: Grid, point: Point, panel: Panel, home: Home) -> float | None:
    """The learning rate of a point; None for the recipe's own."""
    if not grid.trials or point.optimizer is None:
        return None
    label = f"{point.title}, learning rates"
    about = {"recipe": grid.at(point, 0).to_dict(), "trials": grid.trials}
    found = keep(best_rate, label=label, panel=panel, home=home, **about)
    return float(found["learning_rate"])


def _trained(recipe: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = train(recipe)
    return result
