"""The stack as people read it."""

from __future__ import annotations

from typing import Any

from flows.cli.render.terminal import console
from flows.errors import UsageError


def ports(given: list[str]) -> dict[str, int]:
    """Ports by service from `SERVICE=NUMBER`.

    Raises:
        UsageError: it is not that.
    """
    found = {}
    for one in given:
        name, _, number = one.partition("=")
        if not number.isdecimal():
            raise UsageError(f"--port {one!r}: expected SERVICE=NUMBER, such as mlflow=5000")
        found[name] = int(number)
    return found


def status(document: dict[str, Any]) -> None:
    """A line for each service, and what to do next."""
    out = console()
    if not document["services"]:
        out.print(f"There is no stack in {document['stack']}; `veilcast stack up` starts one.")
        return
    for name, service in document["services"].items():
        out.print(f"  {'up  ' if service['up'] else 'down'}  {name:9} {service['address']}")
    if all(one["up"] for one in document["services"].values()):
        out.print(f"Use it in this shell:  . {document['environment']}")
        out.print(f"Token of the service:  {document['token']}")
