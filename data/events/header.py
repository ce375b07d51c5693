"""Columns by name, and names that are a person's record where the header line is missing."""

from __future__ import annotations

import difflib
import re
from typing import Any

from data.errors import DataError

Expression = Any  # of Ibis, which has no types for mypy

_VALUE = re.compile(r"^\W*\d|\d{4}|\d[:/.-]\d|@|.{64}", re.DOTALL)
"""What names of columns are not like: numbers, times, dates, addresses, long keys."""


def looks_like_a_record(names: list[str]) -> bool:
    """Whether some name of a column is more like a value. A record of events has a time in any case."""
    return any(_VALUE.search(name) is not None for name in names)


def named(table: Expression, column: str, role: str, name: str, *, told: bool = True) -> Expression:
    """A column of a table.

    Args:
        table: expression of the raw table.
        column: what the recipe calls it.
        role: what it is for.
        name: of the source.
        told: whether the columns that are there may be told. Not those of a private file without types:
            where its header line is missing they are somebody's record, whatever that looks like.

    Raises:
        DataError: there is none; no name is quoted that may be a record.
    """
    columns = [str(one) for one in table.columns]
    if column in columns:
        return table[column]
    if not told:
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
