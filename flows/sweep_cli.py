"""The command that compares: one grid, one charge that is told first, one picture."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.command import Json, Quiet, errors, open_folders, show
from flows.study_cli import names, number

app = typer.Typer()

MANY = 300
"""Trainings from which a sweep asks before it starts."""


@app.command()
def sweep(
    recipe: Annotated[str | None, typer.Argument(help="Recipe: a .toml file or a name.")] = None,
    source: Annotated[str | None, typer.Option(help="As for train.")] = None,
    mechanism: Annotated[str | None, typer.Option(help="Names, separated by commas.")] = None,
    epsilon: Annotated[str | None, typer.Option(help="Budgets, separated by commas.")] = None,
    unit: Annotated[str | None, typer.Option(help="One privacy unit, as for train.")] = None,
    delta: Annotated[float | None, typer.Option(help="Well below 1 / persons.")] = None,
    model: Annotated[str | None, typer.Option(help="Forecasters, separated by commas.")] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="Names, separated by commas, or `all` that are allowed.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of each point.", min=1)] = 5,
    trials: Annotated[
        int, typer.Option(help="Learning rates tried for each point, free of charge.", min=0)
    ] = 0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Any recipe field: section.field=value.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it costs, and stop.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare mechanisms, budgets, forecasters and optimizers; the whole charge is told first."""
    with errors():
        open_folders()
        from flows import progress, sweep_console
        from flows.compose import compose, load
        from flows.engine import start_engine
        from flows.errors import UsageError
        from flows.grid import Grid

        options = {"source.name": source, "privacy.unit": unit, "privacy.delta": delta}
        # only what is written down: a point under another mechanism has other defaults
        values = load(recipe) if recipe else {}
        for path, value in options.items():
            section, _, field = path.partition(".")
            if value is not None:
                values.setdefault(section, {})[field] = value
        first = names(mechanism or "")[:1]
        whole = compose(
            recipe, {**options, "privacy.mechanism": first[0] if first else None}, settings or []
        )
        privacy = whole["privacy"]
        grid = Grid(
            recipe=values,
            mechanisms=names(mechanism or privacy["mechanism"]),
            epsilons=tuple(number("epsilon", one) for one in names(epsilon or ""))
            or (privacy["epsilon"],),
            models=names(model or whole["model"]["name"]),
            optimizers=names(optimizer or whole["training"]["optimizer"]),
            seeds=seeds,
            trials=trials,
            settings=tuple(settings or []),
        )
        wait = None if dry_run else start_engine()
        from flows.charges import announced

        told = announced(grid)
        sweep_console.announced(told)
        if dry_run or wait is None:
            show({"total": vars(told)}, as_json, lambda _: None)
            return
        if told.trainings > MANY and not yes and not typer.confirm("Start?", err=True):
            raise UsageError(f"{told.trainings} trainings were not started; `--yes` does not ask")
        from flows.sweep import sweep as flow

        with progress.shown(quiet=quiet):
            wait()
            document = flow(grid)
        show(document, as_json, sweep_console.swept)
