"""The command about runs: list, filter, compare, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.command import Json, errors, open_folders, show

app = typer.Typer()


@app.command(epilog="For example: veilcast runs --where 'epsilon <= 1' --export runs.csv")
def runs(
    where: Annotated[
        str | None, typer.Option(help="A condition in SQL: \"unit = 'user' and epsilon <= 1\".")
    ] = None,
    sweep: Annotated[str | None, typer.Option(help="Only runs of a sweep: its run's id.")] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            help="Starts of the ids of two runs: how they differ, in settings and errors."
        ),
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the runs to a .csv, .parquet or .json file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List runs, latest first; filter, compare or export them."""
    with errors():
        from flows import console
        from flows.tracking import Tracker
        from flows.tracking import run_table as table

        tracker = Tracker(open_folders())
        if compare is not None:
            one, other = (tracker.find(name) for name in compare)
            settings = tracker.settings(one["run_id"]), tracker.settings(other["run_id"])
            show(table.compare(one, other, settings), as_json, console.compared)
            return
        found = tracker.runs(sweep=sweep)
        if where is not None:
            found = table.where(found, where)
        file = {} if export is None else {"file": str(table.export(found, export))}
        show({"runs": found, **file}, as_json, console.listed)
