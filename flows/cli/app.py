"""The command line: every command in its group. Heavy imports are inside the commands."""

from __future__ import annotations

import os
import sys
import warnings

import typer

from flows.cli import audit, budget, compare, data, demo, deploy, plan, runs, stack, sweep, train
from flows.cli.options import OPERATE, PROMISE

app = typer.Typer(
    help="Forecast how many people will be where, without exposing any one of them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (demo, data, train, sweep, compare, runs, plan):
    app.add_typer(commands.app)
app.add_typer(budget.app, name="budget", rich_help_panel=PROMISE)
for commands in (audit, deploy):
    app.add_typer(commands.app)
app.add_typer(stack.app, name="stack", rich_help_panel=OPERATE)


def main() -> None:
    """Entry point of `veilcast`."""
    if not sys.warnoptions:  # warnings of libraries are for developers; `python -W` shows them
        warnings.simplefilter("ignore")
        os.environ.setdefault("PYTHONWARNINGS", "ignore")  # for servers that are started, too
    app()
