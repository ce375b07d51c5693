"""The command line. Heavy imports are inside the commands, so that help answers at once."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated, Any

import typer

from flows import (
    audit_cli,
    budget_cli,
    ingest_cli,
    runs_cli,
    serve_cli,
    stack_cli,
    study_cli,
    sweep_cli,
)
from flows.command import (
    SOURCE,
    Delta,
    Epsilon,
    Json,
    Quiet,
    RecipeName,
    RunName,
    Settings,
    Source,
    errors,
    open_folders,
    show,
)

app = typer.Typer(
    help="Forecast how many people will be where, without exposing any one of them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(budget_cli.app, name="budget")
app.add_typer(ingest_cli.app)
app.add_typer(study_cli.app)
app.add_typer(sweep_cli.app)
app.add_typer(audit_cli.app)
app.add_typer(runs_cli.app)
app.add_typer(serve_cli.app)
app.add_typer(stack_cli.app, name="stack")


@app.command(epilog="For example: veilcast demo")
def demo(as_json: Json = False, quiet: Quiet = False) -> None:
    """Train a private forecast of a made-up city; nothing needed, about a minute."""
    _train("demo", {}, [], as_json, quiet)


@app.command(
    epilog="For example: veilcast train --source counts.csv --unit user-day --epsilon 1 --delta 1e-6"
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
            help="Of weights and batches, never of noise.", show_default="the recipe's, or 0"
        ),
    ] = None,
    protect_inputs: Annotated[
        bool,
        typer.Option("--protect-inputs", help="gradient: noise and charge what forecasts read."),
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
    _train(recipe, options, settings or [], as_json, quiet)


@app.command(epilog="For example: veilcast check counts.csv")
def check(
    source: Annotated[str, typer.Argument(help=SOURCE)],
    max_gap: Annotated[str, typer.Option(help="Longest gap that may be repaired.")] = "1d",
    events: Annotated[
        bool,
        typer.Option("--events", help="The source holds raw events: person, time, place."),
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="With --events: any recipe field, section.field=value."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong or odd about a source, where, and how to mend it; exit 1 if unusable."""
    with errors():
        from flows import console
        from flows.pipeline.check import check_source

        chosen = tuple(settings or []) if events else None
        document = check_source(source, max_gap, chosen)
        show(document, as_json, console.checked)
    raise typer.Exit(0 if document["usable"] else 1)


@app.command(epilog="For example: veilcast forecast latest")
def forecast(run: RunName = "latest", as_json: Json = False) -> None:
    """Forecast the next intervals from a saved run and the latest noised counts."""
    with errors():
        from flows import console
        from flows.forecasting.forecast import forecast_ahead
        from flows.tracking import Tracker

        home = open_folders()
        tracker = Tracker(home)
        found = tracker.find(run)
        document = {
            "run_id": found["run_id"],
            **forecast_ahead(tracker.files(found["run_id"]), home),
        }
        show(document, as_json, console.ahead)


@app.command(epilog="For example: veilcast statement latest")
def statement(run: RunName = "latest", as_json: Json = False) -> None:
    """What a run promises, to whom, under which assumptions."""
    with errors():
        from flows import console
        from flows.tracking import Tracker

        tracker = Tracker(open_folders())
        document = console.read_statement(tracker.files(tracker.find(run)["run_id"]))
        show(document, as_json, console.statement)


@app.command(epilog="For example: veilcast ui --port 5001")
def ui(port: Annotated[int, typer.Option(help="Port on this machine.")] = 5000) -> None:
    """Open the MLflow UI on this machine, until Ctrl-C."""
    with errors():
        from flows.tracking.ui import serve

        raise typer.Exit(serve(open_folders(), port))


def main() -> None:
    """Entry point of `veilcast`."""
    if not sys.warnoptions:  # warnings of libraries are for developers; `python -W` shows them
        warnings.simplefilter("ignore")
        os.environ.setdefault("PYTHONWARNINGS", "ignore")  # of servers that are started, too
    app()


def _train(
    recipe: str | None,
    options: dict[str, Any],
    settings: list[str],
    as_json: bool,
    quiet: bool,
) -> None:
    with errors():
        from flows.runtime import progress

        open_folders()
        with progress.shown(quiet=quiet):
            document = _run(recipe, options, settings)
        from flows import console

        show(document, as_json, console.trained)


def _run(recipe: str | None, options: dict[str, Any], settings: list[str]) -> dict[str, Any]:
    """Check the recipe, then run the flow."""
    from flows.recipe.load import compose
    from flows.runtime.engine import start_engine_for

    values = compose(recipe, options, settings)
    wait = start_engine_for(values)
    from flows.pipeline.train import train as flow

    wait()
    result: dict[str, Any] = flow(values)
    return result
