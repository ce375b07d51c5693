"""`veilcast sweep`: one grid of trainings, whose total charge is announced first."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.options import (
    MODELS,
    Delta,
    Json,
    Quiet,
    RecipeName,
    Settings,
    Source,
    errors,
    names,
    number,
    open_folders,
    show,
)

app = typer.Typer()

MANY = 300
"""Number of trainings above which a sweep asks before it starts."""


@app.command(
    rich_help_panel=MODELS,
    epilog="For example: veilcast sweep --source counts.csv --epsilon 0.5,1,2 --model ridge --dry-run",
)
def sweep(
    recipe: RecipeName = None,
    source: Source = None,
    mechanism: Annotated[
        str | None,
        typer.Option(
            help="none, input, gradient; separated by commas.", show_default="the recipe's"
        ),
    ] = None,
    epsilon: Annotated[
        str | None,
        typer.Option(help="Budgets, separated by commas: 0.5,1,2.", show_default="the recipe's"),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            help="Privacy units, separated by commas: user,user-day.", show_default="the recipe's"
        ),
    ] = None,
    delta: Delta = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Forecasters, separated by commas: ridge,bigru.", show_default="the recipe's"
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            help="Optimizers, separated by commas, or `all` that are allowed.",
            show_default="the recipe's",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Number of trainings of each point.", min=1)] = 5,
    trials: Annotated[
        int, typer.Option(help="Learning rates to try for each point, free of charge.", min=0)
    ] = 0,
    settings: Settings = None,
    runner: Annotated[
        str, typer.Option(help="Where to train: here, threads, processes, dask or ray.")
    ] = "here",
    workers: Annotated[
        int | None, typer.Option(help="Trainings at a time.", show_default="one per core", min=1)
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="dask, ray: address of a running scheduler.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what it would cost, and stop.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Start a large sweep without asking.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare mechanisms, budgets, forecasters and optimizers; announces the total charge first."""
    with errors():
        open_folders()
        from flows.cli.render import sweep as render
        from flows.errors import UsageError
        from flows.runtime import progress
        from flows.runtime.engine import start_engine
        from flows.sweep.grid import grid_of

        grid = grid_of(
            recipe,
            settings or [],
            source=source,
            delta=delta,
            mechanisms=names(mechanism or ""),
            units=names(unit or ""),
            epsilons=tuple(number("epsilon", text) for text in names(epsilon or "")),
            models=names(model or ""),
            optimizers=names(optimizer or ""),
            seeds=seeds,
            trials=trials,
        )
        wait = None if dry_run else start_engine()
        from flows.sweep import runners
        from flows.sweep.cost import announced

        runners.check(runner, address)
        cost = announced(grid)
        render.announced(cost)
        if dry_run or wait is None:
            show({"total": cost.to_dict()}, as_json, lambda _: None)
            return
        if cost.trainings > MANY and not yes and not typer.confirm("Start?", err=True):
            raise UsageError(f"{cost.trainings} trainings were not started; `--yes` does not ask")
        from flows.sweep.flow import sweep as flow

        count = workers or runners.usual(runner)
        with progress.shown(quiet=quiet):
            wait()
            with runners.shared_server():
                engine = runners.task_runner(runner, count, address)
                result = flow.with_options(task_runner=engine)(grid, runner, count)
        show(result, as_json, render.swept)
