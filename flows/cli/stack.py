"""`veilcast stack`: start, stop and inspect the stack."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.options import Json, errors, open_folders, show

app = typer.Typer(
    help="PostgreSQL, MLflow, Prefect, a worker and the service, as processes on the loopback.",
    no_args_is_help=True,
)

Port = Annotated[
    list[str] | None,
    typer.Option("--port", help="SERVICE=NUMBER, repeatable; by default free ports."),
]


@app.command(epilog="For example: veilcast stack up --port mlflow=5001")
def up(port: Port = None, as_json: Json = False) -> None:
    """Start every service that does not run yet, and print the addresses."""
    with errors():
        from flows.cli.render import stack as render
        from flows.stack import stack

        home = open_folders()
        show(stack.up(home.root, _ports(port or [])), as_json, render.status)


@app.command(epilog="For example: veilcast stack down")
def down(as_json: Json = False) -> None:
    """Stop all services; stored data stays."""
    with errors():
        from flows.cli.render import stack as render
        from flows.stack import stack

        show(stack.down(open_folders().root), as_json, render.status)


@app.command(epilog="For example: veilcast stack status --json")
def status(as_json: Json = False) -> None:
    """Show which services run, and where; exit 1 if one does not."""
    with errors():
        from flows.cli.render import stack as render
        from flows.stack import stack

        document = stack.status(open_folders().root)
        show(document, as_json, render.status)
        services = document["services"].values()
        if not services or not all(service["up"] for service in services):
            raise typer.Exit(1)


def _ports(options: list[str]) -> dict[str, int]:
    """Parse `SERVICE=NUMBER` into ports by service.

    Raises:
        UsageError: an option does not read like that.
    """
    from flows.errors import UsageError

    ports = {}
    for option in options:
        name, _, number = option.partition("=")
        if not number.isdecimal():
            raise UsageError(f"--port {option!r}: expected SERVICE=NUMBER, such as mlflow=5000")
        ports[name] = int(number)
    return ports
