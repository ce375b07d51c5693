"""Columns by name, and header lines that are really a person's record."""

from __future__ import annotations

import difflib
import re
from typing import Any

from data.errors import DataError

Expression = Any  # of Ibis, which has no types for mypy

_VALUE = re.compile(r"^\W*\d|\d{4}|\d[:/.-]\d|@|.{64}", re.DOTALL)
"""Patterns that column names do not have: numbers, times, dates, addresses, long keys."""


def looks_like_a_record(names: list[str]) -> bool:
    """Return whether a column name looks like a value; a record of events always has a time."""
    return any(_VALUE.search(name) is not None for name in names)


def column_of(
    table: Expression, column: str, role: str, name: str, *, shown: bool = True
) -> Expression:
    """Return a column of a table.

    Args:
        table: expression of the raw table.
        column: its name in the recipe.
        role: the field of the recipe that names it.
        name: of the source.
        shown: whether the existing columns may be quoted. Not those of a private file without types:
            without a header line they are a person's record, whatever they look like.

    Raises:
        DataError: there is none; no name is quoted that may be a record.
    """
    columns = [str(existing) for existing in table.columns]
    if column in columns:
        return table[column]
    if not shown:
        raise DataError(
            f"{name} has no column {column!r} in its header line (events.{role} names it). What it has "
            "is not shown: where a header line is missing it is a record. Begin with one, say "
            "person,time,place"
        )
    if looks_like_a_record(columns):
        raise DataError(
            f"{name} has no column {column!r}, and its columns have names like data, which are not "
            "shown: is the header line missing? Begin with one, say person,time,place "
            f"(events.{role} names the column)"
        )
    close = difflib.get_close_matches(column, columns, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(columns[:12])}"
    raise DataError(f"{name} has no column {column!r}; {hint} (events.{role} names it)")
