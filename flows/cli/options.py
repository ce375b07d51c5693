"""Shared parts of commands: options, output, errors. Light to import, so that help is fast."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

import typer

from flows.settings import Home

if TYPE_CHECKING:
    from flows.document import Document

START, DATA, MODELS = "Start", "Data", "Train and compare"
PROMISE, OPERATE = "Promise", "Operate"
"""Groups of commands in `veilcast --help`, in this order."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
SOURCE = "synthetic, paris-cdr, a .csv or .parquet file, or a database URL#table."
RECIPE = "Recipe: a .toml file, or a name (demo, frontier, gradient, optimizers, paris)."
EPSILON = "Privacy budget of one unit; a smaller one hides more."
DELTA = "Probability that the promise fails; choose it well below 1 / persons."
SETTING = "Any recipe field, repeatable: section.field=value (--set training.epochs=5)."
Source = Annotated[str | None, typer.Option(help=SOURCE, show_default="the recipe's, or synthetic")]
RecipeName = Annotated[
    str | None, typer.Argument(help=RECIPE, show_default="defaults of all fields")
]
Epsilon = Annotated[float | None, typer.Option(help=EPSILON, show_default="the recipe's, or 1")]
Delta = Annotated[float | None, typer.Option(help=DELTA, show_default="the recipe's, or 1e-07")]
Settings = Annotated[list[str] | None, typer.Option("--set", help=SETTING)]
RunName = Annotated[str, typer.Argument(help="Start of a run's id, or 'latest'.")]


def open_folders() -> Home:
    """Open the home folder, and turn off telemetry for this process."""
    from flows.settings import open_home, quiet_environment

    home = open_home()
    quiet_environment(home)
    return home


class Printable(Protocol):
    """A result that has a document."""

    def to_dict(self) -> Document:
        """As JSON values."""


Shown = TypeVar("Shown", bound="Printable | Document")


def show(result: Shown, as_json: bool, table: Callable[[Shown], None]) -> None:
    """Print a result: its document as JSON, or as people read it."""
    if as_json:
        document = result if isinstance(result, dict) else result.to_dict()
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        table(result)


@contextmanager
def errors() -> Iterator[None]:
    """Turn expected errors into one message on stderr and an exit code.

    Exit codes: 1 failed, 2 usage, 3 budget refused, 130 stopped (Ctrl-C, SIGTERM). Bugs pass with their
    traceback.
    """
    try:
        yield
    except BaseException as error:
        outcome = _exit_of(error)
        if outcome is None:
            raise
        code, message = outcome
    else:
        return
    from flows.cli.render.terminal import complain

    complain(message)
    raise typer.Exit(code)


def _exit_of(error: BaseException) -> tuple[int, str] | None:
    """Return exit code and message of an expected error; None for bugs and for Typer's own exits."""
    from data.errors import BoundError, DataError
    from dp.budget import BudgetRefused
    from dp.errors import LedgerError
    from flows.errors import SetupError, UsageError

    if isinstance(error, typer.Exit | typer.Abort | SystemExit):
        return None
    if _stopped(error):
        return 130, (
            "stopped; what was charged stays charged, and the same request returns the same release"
        )
    if isinstance(error, BudgetRefused):
        return 3, str(error)
    if isinstance(error, UsageError | BoundError):
        return 2, str(error)
    if isinstance(error, DataError | LedgerError | SetupError):
        return 1, str(error)
    if isinstance(error, OSError):
        return 1, f"{error.strerror or error} ({error.filename or 'system'})"
    if type(error).__name__ == "ModelError":  # without importing torch for every command
        return 1, str(error)
    return None


def _stopped(error: BaseException | None) -> bool:
    """Return whether the command was stopped (Ctrl-C, SIGTERM), also if Prefect wrapped the signal."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "TerminationSignal":
            return True
        error = error.__cause__ or error.__context__
    return False


def names(text: str) -> tuple[str, ...]:
    """Split a list at its commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def number(name: str, text: str) -> float:
    """Parse the number of an option, which is above 0.

    Raises:
        UsageError: the text is not such a number.
    """
    from flows.errors import UsageError

    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UsageError(f"expected --{name} {text!r} to be a number above 0")
    return value
