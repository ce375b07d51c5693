"""Commands about saved runs: list them, forecast from them, print their statements."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import MODELS, PROMISE, Json, RunName, errors, open_folders, show

app = typer.Typer()


@app.command(
    rich_help_panel=MODELS,
    epilog="For example: veilcast runs --where 'epsilon <= 1' --export runs.csv",
)
def runs(
    where: Annotated[
        str | None, typer.Option(help="A condition in SQL: \"unit = 'user' and epsilon <= 1\".")
    ] = None,
    sweep: Annotated[
        str | None, typer.Option(help="Only the runs of a sweep, by its run's id.")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            help="Starts of two run ids: show how the runs differ in settings and errors."
        ),
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the runs to a .csv, .parquet or .json file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List runs, latest first; filter, compare or export them."""
    with errors():
        from flows.cli.render import run as render
        from flows.tracking import Tracker
        from flows.tracking import run_table as table

        tracker = Tracker(open_folders())
        if compare is not None:
            first, second = (tracker.find(name) for name in compare)
            settings = tracker.settings(first["run_id"]), tracker.settings(second["run_id"])
            show(table.compare(first, second, settings), as_json, render.compared)
            return
        selected = tracker.runs(sweep=sweep)
        if where is not None:
            selected = table.where(selected, where)
        file = {} if export is None else {"file": str(table.export(selected, export))}
        show({"runs": selected, **file}, as_json, render.listed)


@app.command(rich_help_panel=MODELS, epilog="For example: veilcast forecast latest")
def forecast(run: RunName = "latest", as_json: Json = False) -> None:
    """Forecast the next intervals from a saved run and the latest noised counts."""
    with errors():
        from flows.cli.render import run as render
        from flows.forecasting.forecast import forecast_run
        from flows.tracking import Tracker

        home = open_folders()
        tracker = Tracker(home)
        run_id = tracker.find(run)["run_id"]
        document = {"run_id": run_id, **forecast_run(tracker.files(run_id), home).to_dict()}
        show(document, as_json, render.ahead)


@app.command(rich_help_panel=PROMISE, epilog="For example: veilcast statement latest")
def statement(run: RunName = "latest", as_json: Json = False) -> None:
    """Show what a run promises, to whom, under which assumptions."""
    with errors():
        from flows.cli.render import run as render
        from flows.forecasting.saved_run import read_statement
        from flows.tracking import Tracker

        tracker = Tracker(open_folders())
        document = read_statement(tracker.files(tracker.find(run)["run_id"]))
        show(document, as_json, render.statement)
