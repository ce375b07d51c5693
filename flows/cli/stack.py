"""The command that starts and stops the stack."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.options import Json, errors, open_folders, show

app = typer.Typer(
    help="PostgreSQL, MLflow, Prefect, a worker and the service, as processes on the loopback.",
    no_args_is_help=True,
)

Port = Annotated[
    list[str] | None, typer.Option("--port", help="SERVICE=NUMBER; others are free ones.")
]


@app.command(epilog="For example: veilcast stack up --port mlflow=5001")
def up(port: Port = None, as_json: Json = False) -> None:
    """Start everything that does not run yet; says where it is."""
    with errors():
        from flows.cli.render import stack as render
        from flows.stack import stack

        home = open_folders()
        show(stack.up(home.root, render.ports(port or [])), as_json, render.status)


@app.command(epilog="For example: veilcast stack down")
def down(as_json: Json = False) -> None:
    """Stop everything; what was kept stays."""
    with errors():
        from flows.cli.render import stack as render
        from flows.stack import stack

        show(stack.down(open_folders().root), as_json, render.status)


@app.command(epilog="For example: veilcast stack status --json")
def status(as_json: Json = False) -> None:
    """What runs, and where; exit 1 if anything does not."""
    with errors():
        from flows.cli.render import stack as render
        from flows.stack import stack

        document = stack.status(open_folders().root)
        show(document, as_json, render.status)
        services = document["services"].values()
        if not services or not all(one["up"] for one in services):
            raise typer.Exit(1)
