"""Deployments and packaged models as people read them."""

from __future__ import annotations

from typing import Any

from rich.markup import escape

from flows.cli.render.terminal import console


def deployed(document: dict[str, Any]) -> None:
    """What runs when."""
    out = console()
    for one in document["deployments"]:
        when = one["schedule"] or "when told to"
        out.print(f"  {escape(one['deployment']):40} {when}")
    out.print(f"One at a time, on queue {escape(document['queue'])} of pool {document['pool']}.")
    first = document["deployments"][1]["deployment"]
    out.print(f"[dim]start one now: prefect deployment run '{escape(first)}'[/]")


def packaged(document: dict[str, Any]) -> None:
    """Where the model is, and how it is served."""
    out = console()
    out.print(f"model  {document['model']}")
    out.print(
        f"[dim]serve it: mlflow models serve --env-manager local --port 5001 "
        f"--model-uri {document['model']}[/]"
    )


def replayed(document: dict[str, Any]) -> None:
    """What arrived."""
    console().print(
        f"{document['history']} intervals at first, then {document['written']}, one every "
        f"{document['interval_seconds']:g} s, in table {escape(document['table'])}"
    )
