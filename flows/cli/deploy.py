"""Commands that operate: deployments, the service, MLflow's UI and packaged models."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flows.cli.options import (
    OPERATE,
    Json,
    RecipeName,
    RunName,
    Settings,
    errors,
    open_folders,
    show,
)

app = typer.Typer()


def _cron(usual: str) -> Any:
    return typer.Option(
        help="Schedule as cron in UTC ('15 3 * * *': daily at 3:15); '' for never.",
        show_default=usual,
    )


@app.command(
    rich_help_panel=OPERATE, epilog="For example: veilcast deploy my.toml --forecast '5 * * * *'"
)
def deploy(
    recipe: RecipeName = None,
    source: Annotated[
        str | None, typer.Option(help="A database URL#table.", show_default="the recipe's")
    ] = None,
    forecast: Annotated[str | None, _cron("*/30 * * * *")] = None,
    train: Annotated[str | None, _cron("15 2 * * *")] = None,
    audit: Annotated[str | None, _cron("45 4 * * 0")] = None,
    ingest: Annotated[str | None, _cron("never")] = None,
    sweep: Annotated[str | None, _cron("never")] = None,
    settings: Settings = None,
    yaml: Annotated[bool, typer.Option("--yaml", help="Print a prefect.yaml instead.")] = False,
    as_json: Json = False,
) -> None:
    """Put a data set on a schedule: release, forecast, train, audit, one at a time."""
    with errors():
        open_folders()
        from flows.cli.render import deploy as render
        from flows.deploy import deployments
        from flows.recipe.load import compose

        values = compose(recipe, {"source.name": source}, settings or [])
        schedules = {
            "forecast": forecast,
            "train": train,
            "audit": audit,
            "ingest": ingest,
            "sweep": sweep,
        }
        wanted = deployments.deployments(values, schedules)
        if yaml:
            typer.echo(deployments.to_yaml(wanted), nl=False)
            return
        show(deployments.register(wanted), as_json, render.deployed)


@app.command(rich_help_panel=OPERATE, epilog="For example: veilcast serve --port 8001")
def serve(
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve the latest forecasts over HTTP, to clients with the token, until Ctrl-C."""
    with errors():
        from flows.service.run import run

        raise typer.Exit(run(open_folders(), host, port))


@app.command(rich_help_panel=OPERATE, epilog="For example: veilcast package latest")
def package(run: RunName = "latest", as_json: Json = False) -> None:
    """Add to a run the flavour that `mlflow models serve` reads, and print its address."""
    with errors():
        from flows.cli.render import deploy as render
        from flows.tracking import Tracker
        from flows.tracking.model_registry import Models

        home = open_folders()
        run_id = Tracker(home).find(run)["run_id"]
        document = {
            "run_id": run_id,
            "model": f"runs:/{run_id}/serving",
            "stored": Models(home).packaged(run_id),
        }
        show(document, as_json, render.packaged)


@app.command(hidden=True)
def replay(
    target: Annotated[str, typer.Argument(help="URL#table to write to.")],
    source: Annotated[str, typer.Option(help="paris-cdr or synthetic.")] = "paris-cdr",
    history: Annotated[int, typer.Option(help="Days that are written at once.", min=1)] = 40,
    speed: Annotated[
        float, typer.Option(help="Factor by which time passes faster.", min=0.1)
    ] = 60.0,
    minutes: Annotated[float, typer.Option(help="Duration of the replay.", min=0)] = 15.0,
    as_json: Json = False,
) -> None:
    """Let published counts arrive in a table as if they were new."""
    with errors():
        open_folders()
        from flows.cli.render import deploy as render
        from flows.stream.replay import replay as run

        document = run(source, target, history=history, speed=speed, minutes=minutes)
        show(document, as_json, render.replayed)


@app.command(rich_help_panel=OPERATE, epilog="For example: veilcast ui --port 5001")
def ui(port: Annotated[int, typer.Option(help="Port on this machine.")] = 5000) -> None:
    """Open the MLflow UI on this machine, until Ctrl-C."""
    with errors():
        from flows.tracking.ui import serve

        raise typer.Exit(serve(open_folders(), port))
