"""The stack's status in the terminal."""

from __future__ import annotations

from flows.cli.render.terminal import console
from flows.document import Document


def status(document: Document) -> None:
    """Print one line per service, and what to do next."""
    out = console()
    if not document["services"]:
        out.print(f"There is no stack in {document['stack']}; `veilcast stack up` starts one.")
        return
    for name, service in document["services"].items():
        out.print(f"  {'up  ' if service['up'] else 'down'}  {name:9} {service['address']}")
    if all(service["up"] for service in document["services"].values()):
        out.print(f"Use it in this shell:  . {document['environment']}")
        out.print(f"Token of the service:  {document['token']}")
