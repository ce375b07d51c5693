"""The terminal: where output goes, how wide it is, and how a number is written."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape


def complain(message: str) -> None:
    """Print one error on stderr."""
    console(stderr=True).print(f"[bold red]error:[/] {escape(message)}")


def number(value: float | None, form: str) -> str:
    """Format a number; a dash where it does not apply."""
    return "–" if value is None else form.format(value)


def console(*, stderr: bool = False) -> Console:
    """Open the terminal; tables keep their columns when they are piped into a file."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr, highlight=False, soft_wrap=True, width=None if stream.isatty() else 160
    )
