"""`veilcast train`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import (
    MODELS,
    Delta,
    Epsilon,
    Json,
    Quiet,
    RecipeName,
    Settings,
    Source,
    errors,
    open_folders,
    show,
)

if TYPE_CHECKING:
    from flows.document import Document
    from flows.pipeline.result import RunResult

app = typer.Typer()


@app.command(
    rich_help_panel=MODELS,
    epilog="For example: veilcast train --source counts.csv --unit user-day --epsilon 1 --delta 1e-6",
)
def train(
    recipe: RecipeName = None,
    source: Source = None,
    events: Annotated[
        bool,
        typer.Option("--events", help="The source holds raw events: person, time, place."),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            help="lstm, gru, bilstm, bigru, ridge, fourier, trees, poisson, negbin, sparse or blend.",
            show_default="the recipe's, or bigru",
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            help="adam, adamw, sgd, diffgrad, adabelief, adamp, sgdp, tract, dp-adam, ...",
            show_default="the recipe's, or adam",
        ),
    ] = None,
    mechanism: Annotated[
        str | None,
        typer.Option(
            help="none; input: noise on the counts; gradient: noise in the training (DP-SGD).",
            show_default="the recipe's, or input",
        ),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            help="Whose records stay hidden, and how much of them: user, user-week, user-day, "
            "user-interval; gradient: also interval-1, ...",
            show_default="the recipe's, or user",
        ),
    ] = None,
    epsilon: Epsilon = None,
    delta: Delta = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Seed of weights and batches, never of noise.", show_default="the recipe's, or 0"
        ),
    ] = None,
    protect_inputs: Annotated[
        bool,
        typer.Option(
            "--protect-inputs",
            help="gradient: also noise, and charge, the counts that forecasts read.",
        ),
    ] = False,
    settings: Settings = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a forecaster on counts, under the mechanism of your choice, and record the run."""
    options = {
        "source.name": source,
        "source.events": events or None,
        "model.name": model,
        "training.optimizer": optimizer,
        "privacy.mechanism": mechanism,
        "privacy.unit": unit,
        "privacy.epsilon": epsilon,
        "privacy.delta": delta,
        "privacy.protect_inputs": protect_inputs or None,
        "training.seed": seed,
    }
    train_and_show(recipe, options, settings or [], as_json, quiet)


def train_and_show(
    recipe: str | None,
    options: Document,
    settings: list[str],
    as_json: bool,
    quiet: bool,
) -> None:
    """Run a recipe, and print the result."""
    with errors():
        from flows.runtime import progress

        open_folders()
        with progress.shown(quiet=quiet):
            result = _run(recipe, options, settings)
        from flows.cli.render import run as render

        show(result, as_json, render.trained)


def _run(recipe: str | None, options: Document, settings: list[str]) -> RunResult:
    """Check the recipe, then run the flow."""
    from flows.recipe.load import compose
    from flows.runtime.engine import start_engine_for

    values = compose(recipe, options, settings)
    wait = start_engine_for(values)
    from flows.pipeline.train import train as flow

    wait()
    return flow(values)
