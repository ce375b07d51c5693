"""Deployments and packaged models in the terminal."""

from __future__ import annotations

from rich.markup import escape

from flows.cli.render.terminal import console
from flows.document import Document


def deployed(document: Document) -> None:
    """Print the schedules."""
    out = console()
    for deployment in document["deployments"]:
        when = deployment["schedule"] or "started by hand"
        out.print(f"  {escape(deployment['deployment']):40} {when}")
    out.print(f"One at a time, on queue {escape(document['queue'])} of pool {document['pool']}.")
    first = document["deployments"][1]["deployment"]
    out.print(f"[dim]start one now: prefect deployment run '{escape(first)}'[/]")


def packaged(document: Document) -> None:
    """Print the model's address, and how to serve it."""
    out = console()
    out.print(f"model  {document['model']}")
    out.print(
        f"[dim]serve it: mlflow models serve --env-manager local --port 5001 "
        f"--model-uri {document['model']}[/]"
    )


def replayed(document: Document) -> None:
    """Print how many intervals were written."""
    console().print(
        f"{document['history']} intervals at first, then {document['written']}, one every "
        f"{document['interval_seconds']:g} s, in table {escape(document['table'])}"
    )
