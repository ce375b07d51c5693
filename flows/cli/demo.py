"""`veilcast demo`."""

from __future__ import annotations

import typer

from flows.cli.options import START, Json, Quiet
from flows.cli.train import train_and_show

app = typer.Typer()


@app.command(rich_help_panel=START, epilog="For example: veilcast demo")
def demo(as_json: Json = False, quiet: Quiet = False) -> None:
    """Train a private forecast of a made-up city; needs no data, takes about a minute."""
    train_and_show("demo", {}, [], as_json, quiet)
