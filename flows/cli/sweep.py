"""The command that compares: one grid, one charge that is told first, one picture."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

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
"""Trainings from which a sweep asks before it starts."""


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
            help="Names, separated by commas, or `all` that are allowed.",
            show_default="the recipe's",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of each point.", min=1)] = 5,
    trials: Annotated[
        int, typer.Option(help="Learning rates tried for each point, free of charge.", min=0)
    ] = 0,
    settings: Settings = None,
    runner: Annotated[
        str, typer.Option(help="Where to train: here, threads, processes, dask or ray.")
    ] = "here",
    workers: Annotated[
        int | None, typer.Option(help="Trainings at a time.", show_default="one a core", min=1)
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="dask, ray: of a scheduler that runs already.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it costs, and stop.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a large sweep.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare mechanisms, budgets, forecasters and optimizers; the whole charge is told first."""
    with errors():
        open_folders()
        from flows.cli.render import sweep as render
        from flows.errors import UsageError
        from flows.recipe.load import load, override
        from flows.recipe.sections import ModelConfig, PrivacyConfig
        from flows.runtime import progress
        from flows.runtime.engine import start_engine
        from flows.sweep.grid import Grid
        from models.training.config import TrainingConfig

        # only what is written down: a point under another mechanism has other defaults
        values = override(load(recipe) if recipe else {}, settings or [])
        for section, field, value in (("source", "name", source), ("privacy", "delta", delta)):
            if value is not None:
                values.setdefault(section, {})[field] = value

        def one(section: str, field: str, usual: Any) -> Any:
            return values.get(section, {}).get(field, getattr(usual, field))

        grid = Grid(
            recipe=values,
            mechanisms=names(mechanism or one("privacy", "mechanism", PrivacyConfig)),
            units=names(unit or one("privacy", "unit", PrivacyConfig)),
            epsilons=tuple(number("epsilon", text) for text in names(epsilon or ""))
            or (one("privacy", "epsilon", PrivacyConfig),),
            models=names(model or one("model", "name", ModelConfig)),
            optimizers=names(optimizer or one("training", "optimizer", TrainingConfig)),
            seeds=seeds,
            trials=trials,
            settings=tuple(settings or []),
        )
        wait = None if dry_run else start_engine()
        from flows.sweep import runners
        from flows.sweep.cost import announced

        runners.check(runner, address)
        told = announced(grid)
        render.announced(told)
        if dry_run or wait is None:
            show({"total": asdict(told)}, as_json, lambda _: None)
            return
        if told.trainings > MANY and not yes and not typer.confirm("Start?", err=True):
            raise UsageError(f"{told.trainings} trainings were not started; `--yes` does not ask")
        from flows.sweep.flow import sweep as flow

        count = workers or runners.usual(runner)
        with progress.shown(quiet=quiet):
            wait()
            with runners.shared_server():
                engine = runners.task_runner(runner, count, address)
                document = flow.with_options(task_runner=engine)(grid, runner, count)
        show(document, as_json, render.swept)
