"""`veilcast audit`: attack the mechanism of a run or a recipe, and compare with its claim."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.options import PROMISE, Json, Quiet, errors, open_folders, show

app = typer.Typer()


@app.command(rich_help_panel=PROMISE, epilog="For example: veilcast audit latest --canaries 500")
def audit(
    target: Annotated[
        str,
        typer.Argument(
            help="Recipe (.toml file or name), start of a run's id, 'latest', or 'promise' for what "
            "every run promises."
        ),
    ] = "latest",
    canaries: Annotated[int, typer.Option(help="Number of made-up units to look for.")] = 1000,
    confidence: Annotated[float, typer.Option(help="Confidence of each lower bound.")] = 0.95,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure epsilon from below, on made-up data; exit 1 if the claim is refuted."""
    with errors():
        from flows.audit.audit import audit as measured
        from flows.cli.render import audit as render
        from flows.runtime import progress

        home = open_folders()
        if target == "promise":
            from flows.audit.attacks.promise import audit_promise

            with progress.shown(quiet=quiet):
                result = audit_promise()
            show(result.to_dict(), as_json, lambda _: render.attacked(result))
            raise typer.Exit(1 if result.refuted else 0)
        with progress.shown(quiet=quiet):
            document = measured(target, home, canaries=canaries, confidence=confidence)
        show(document, as_json, render.audited)
    raise typer.Exit(1 if document["refuted"] else 0)
