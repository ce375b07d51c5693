"""What all commands share: options, output, errors. Light to import, so that help answers at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from flows.settings import Home

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
SOURCE = "synthetic, paris-cdr, a .csv or .parquet file, or a database URL#table."
RECIPE = "Recipe: a .toml file, or a name (demo, gradient, optimizers, paris)."
EPSILON = "Privacy budget of one unit; less hides more."
DELTA = "Chance that the promise does not hold; well below 1 / persons."
SETTING = "Any recipe field, may be repeated: section.field=value (--set training.epochs=5)."
Source = Annotated[str | None, typer.Option(help=SOURCE, show_default="the recipe's, or synthetic")]
RecipeName = Annotated[
    str | None, typer.Argument(help=RECIPE, show_default="defaults of all fields")
]
Epsilon = Annotated[float | None, typer.Option(help=EPSILON, show_default="the recipe's, or 1")]
Delta = Annotated[float | None, typer.Option(help=DELTA, show_default="the recipe's, or 1e-07")]
Settings = Annotated[list[str] | None, typer.Option("--set", help=SETTING)]
RunName = Annotated[str, typer.Argument(help="Start of a run's id, or 'latest'.")]


def open_folders() -> Home:
    """The home folder, and an environment in which nothing calls home."""
    from flows.settings import open_home, quiet_environment

    home = open_home()
    quiet_environment(home)
    return home


def show(document: dict[str, Any], as_json: bool, table: Callable[[dict[str, Any]], None]) -> None:
    """Print a document: as JSON, or as people read it."""
    if as_json:
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        table(document)


@contextmanager
def errors() -> Iterator[None]:
    """A user's mistake is one message and an exit code: 1 failed, 2 usage, 3 budget refused."""
    from data.errors import DataError
    from dp.budget import BudgetRefused
    from dp.errors import LedgerError
    from flows.errors import SetupError, UsageError

    try:
        yield
    except BudgetRefused as error:
        code, message = 3, str(error)
    except UsageError as error:
        code, message = 2, str(error)
    except (DataError, LedgerError, SetupError) as error:
        code, message = 1, str(error)
    except OSError as error:
        code, message = 1, f"{error.strerror or error} ({error.filename or 'system'})"
    except ValueError as error:
        # ModelError, without importing torch for every command
        if type(error).__name__ != "ModelError":
            raise
        code, message = 1, str(error)
    except BaseException as error:
        if not _stopped(error):
            raise
        code, message = (
            130,
            (
                "stopped; what was charged stays charged, and the same request returns the same release"
            ),
        )
    else:
        return
    from flows.console import complain

    complain(message)
    raise typer.Exit(code)


def _stopped(error: BaseException | None) -> bool:
    """Whether somebody stopped the command (Ctrl-C, SIGTERM), whatever came of it in the engine."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "TerminationSignal":
            return True
        error = error.__cause__ or error.__context__
    return False
