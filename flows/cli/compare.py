"""Commands that compare forecasters: backtest, tune, reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import (
    MODELS,
    Json,
    Quiet,
    RecipeName,
    Settings,
    Source,
    errors,
    names,
    open_folders,
    show,
)

if TYPE_CHECKING:
    from flows.document import Document

app = typer.Typer()


@app.command(
    rich_help_panel=MODELS,
    epilog="For example: veilcast backtest --source counts.csv --model ridge,trees",
)
def backtest(
    recipe: RecipeName = None,
    source: Source = None,
    model: Annotated[str | None, typer.Option(help="Forecasters, separated by commas.")] = None,
    folds: Annotated[
        int, typer.Option(help="Number of periods before the test period.", min=1)
    ] = 4,
    length: Annotated[str, typer.Option(help="Length of each period.")] = "7d",
    seeds: Annotated[int, typer.Option(help="Trainings of each forecaster.", min=1)] = 1,
    refit: Annotated[
        bool, typer.Option(help="Train before each period, or only before the first.")
    ] = True,
    settings: Settings = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare forecasters on the weeks before the test week, which is not read."""
    with errors():
        from flows.cli.render import compare as render

        open_folders()
        from flows.recipe.load import compose
        from flows.runtime import progress
        from flows.runtime.engine import start_engine_for

        values = compose(recipe, {"source.name": source}, settings or [])
        wait = start_engine_for(values)
        from flows.compare.backtest import Folds
        from flows.compare.backtest import backtest as flow

        models = list(names(model or ""))
        with progress.shown(quiet=quiet):
            wait()
            document = flow(values, models, Folds(folds, length, seeds, refit))
        show(document, as_json, render.backtested)


@app.command(
    rich_help_panel=MODELS,
    epilog="For example: veilcast tune --source counts.csv --model ridge --trials 10",
)
def tune(
    recipe: RecipeName = None,
    source: Source = None,
    model: Annotated[str | None, typer.Option(help="The forecaster to tune.")] = None,
    trials: Annotated[int, typer.Option(help="Number of settings to try, in all.", min=1)] = 30,
    folds: Annotated[
        int, typer.Option(help="Number of periods before the test period.", min=1)
    ] = 2,
    length: Annotated[str, typer.Option(help="Length of each period.")] = "7d",
    settings: Settings = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search for better settings on the weeks before the test week; can be resumed."""
    with errors():
        from flows.cli.render import compare as render

        open_folders()
        from flows.recipe.load import compose
        from flows.runtime import progress
        from flows.runtime.engine import start_engine_for

        values = compose(recipe, {"source.name": source, "model.name": model}, settings or [])
        wait = start_engine_for(values)
        from flows.compare.backtest import Folds
        from flows.compare.tune import tune as flow

        with progress.shown(quiet=quiet):
            wait()
            document = flow(values, trials, Folds(folds, length))
        show(document, as_json, render.tuned)


@app.command(rich_help_panel=MODELS, epilog="For example: veilcast reproduce --quick")
def reproduce(
    paper: Annotated[str, typer.Argument(help="Only arcolezi2022.")] = "arcolezi2022",
    quick: Annotated[
        bool, typer.Option("--quick", help="A small version: minutes instead of hours.")
    ] = False,
    seeds: Annotated[
        int | None,
        typer.Option(help="Trainings of each of our forecasters.", show_default="5", min=1),
    ] = None,
    paper_seeds: Annotated[
        int | None,
        typer.Option(help="Trainings of each of the paper's networks.", show_default="5", min=1),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Epochs of the paper's networks.", show_default="100, as in the paper", min=1
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the report.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Recompute a paper's tables: as published, as run here, and under honest selection."""
    with errors():
        from flows.errors import UsageError

        if paper != "arcolezi2022":
            raise UsageError(f"no such paper: {paper!r}; choose arcolezi2022")
        home = open_folders()
        from dataclasses import replace

        from flows.cli.render import compare as render
        from flows.runtime import progress
        from flows.runtime.engine import start_engine

        wait = start_engine()
        from flows.arcolezi import report, study

        given: Document = {"seeds": seeds, "paper_seeds": paper_seeds, "epochs": epochs}
        effort = replace(
            study.QUICK if quick else study.Effort(),
            **{name: value for name, value in given.items() if value is not None},
        )
        with progress.shown(quiet=quiet):
            wait()
            result = study.reproduce(effort)
        result["files"] = report.write(result, out or home.reports)
        show(result, as_json, render.reproduced)
