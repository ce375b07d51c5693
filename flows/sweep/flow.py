"""A sweep: a grid of trainings, its whole charge known and reserved before the first of them."""

from __future__ import annotations

from collections.abc import Iterator

from prefect import flow
from prefect.futures import as_completed

from data.panel import Panel
from dp.errors import ReleaseLostError
from dp.mechanisms.seed import Seed
from flows.document import Document
from flows.runtime import progress
from flows.runtime.result_cache import ResultCache
from flows.settings import Home, open_home
from flows.sweep import record
from flows.sweep.cost import announce, charge_all, charges_of, kept_in, known_rates, panel_of
from flows.sweep.grid import Grid, Point
from flows.sweep.learning_rates import best_rate
from flows.sweep.result import Lost, SweepResult, Trained
from flows.sweep.runners import HERE, chunks, threads
from flows.sweep.worker import Values, chunk_step


@flow(name="sweep", persist_result=False)
def sweep(grid: Grid, runner: str = HERE, workers: int = 1) -> SweepResult:
    """Train every point of a grid with every seed; points that are done are not done or charged again.

    Args:
        grid: what to compare.
        runner: where chunks are trained; the flow's task runner is the one of this name
            (`flows.sweep.runners`).
        workers: how many chunks are trained at a time.

    Returns:
        The recorded sweep.

    Raises:
        UsageError: a point is impossible.
        BudgetRefused: the whole sweep does not fit under a cap; nothing was charged or drawn.
        ReleaseLostError: a worker died in a training whose noise cannot be drawn once more; all others
            are done and kept.
    """
    home = open_home()
    points, panel = grid.points(), panel_of(grid)
    keep = kept_in(home)
    total = announce(grid, points, known_rates(keep, grid, points, panel), panel, home)
    progress.stage("sweep", steps=len(points) * (grid.seeds + (1 if grid.trials else 0)))
    rates = {point: _rate(keep, grid, point, panel, home) for point in points if _city(point)}
    charges = charges_of(grid, points, rates, panel, home)
    charge_all(charges, home, grid.at(points[0], 0).privacy.cap)
    rates |= {point: _rate(keep, grid, point, panel, home) for point in points if not _city(point)}
    recipes = [
        grid.at(point, seed, rates[point]).to_dict()
        for point in points
        for seed in range(grid.seeds)
    ]
    results = dict(_trained(recipes, runner, workers, home))
    trained = _none_lost([results[at] for at in range(len(recipes))])
    return record.write(points, rates, recipes, trained, total, panel, home)


def _none_lost(results: list[Trained | Lost]) -> list[Trained]:
    """Raise an error that names trainings which were paid for and lost; all others are kept."""
    lost = [result.reason for result in results if isinstance(result, Lost)]
    if lost:
        raise ReleaseLostError(
            f"{len(lost)} of {len(results)} trainings were lost, the others are done and kept: "
            f"{'; '.join(dict.fromkeys(lost))}. Run the sweep again: it announces and pays for what was "
            "lost, and for nothing else"
        )
    return [result for result in results if isinstance(result, Trained)]


def _trained(
    recipes: list[Document], runner: str, workers: int, home: Home
) -> Iterator[tuple[int, Trained | Lost]]:
    """Position and result of every training, as they are done."""
    parts, each = chunks(recipes, workers), threads(runner, workers)
    seeds = [Seed() for _ in recipes]

    def of(part: list[int]) -> tuple[list[Values], list[Seed], str, int | None]:
        return [recipes[at] for at in part], [seeds[at] for at in part], str(home.root), each

    if runner == HERE:
        finished = ((part, chunk_step(*of(part))) for part in parts)
    else:
        futures = {chunk_step.submit(*of(part)): part for part in parts}
        finished = ((futures[one], one.result()) for one in as_completed(list(futures)))
    done = 0
    for part, results in finished:
        done += len(part)
        progress.stage_at(f"sweep: {done} of {len(recipes)} trainings", done)
        yield from zip(part, results, strict=True)


def _city(point: Point) -> bool:
    """Whether its learning rates are tried on a made-up city, before anything is charged."""
    return point.mechanism == "gradient"


def _rate(keep: ResultCache, grid: Grid, point: Point, panel: Panel, home: Home) -> float | None:
    """The learning rate of a point; None for the recipe's own."""
    if not grid.trials or point.optimizer is None:
        return None
    label = f"{point.title}, learning rates"
    about = {"recipe": grid.at(point, 0).to_dict(), "trials": grid.trials}
    best = keep(best_rate, label=label, panel=panel, home=home, **about)
    return float(best["learning_rate"])
