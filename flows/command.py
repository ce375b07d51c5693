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
    else:
        return
    from flows.console import complain

    complain(message)
    raise typer.Exit(code)
