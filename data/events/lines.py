"""CSV files line by line: no line decides how another one is read, or whether any is.

A reader of whole files fails on one line with a field too many, or takes all lines up to the next quote
into a field. Whose line that is would be told by the error, and the lines of others would be gone.
Here a line is a record, and one that does not have the header's number of fields is none.
"""

from __future__ import annotations

import csv
import gzip
import re
from pathlib import Path
from typing import Any

import ibis

from data.errors import DataError
from data.sources.csv import SEPARATORS

_LINE = "veilcast_line"
_LONGEST = 2**21
"""Bytes of a line; a longer one is left out."""

Expression = Any  # of Ibis, which has no types for mypy


@ibis.udf.scalar.builtin(name="regexp_extract")  # type: ignore[untyped-decorator,unused-ignore]
def _extract(text: str, pattern: str, group: int) -> str:  # type: ignore[empty-body]
    """DuckDB's own."""


def header(path: Path) -> str:
    """The first line of a file; records are not decoded."""
    with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
        return bytes(file.readline()).decode("utf-8-sig", errors="replace").rstrip("\r\n")


def separator(line: str) -> str:
    """What separates the fields of a header line."""
    return max(SEPARATORS, key=line.count)


def read_lines(connection: Any, place: str, files: list[Path]) -> Expression:
    """The records of CSV files, all columns text.

    Args:
        connection: to DuckDB.
        place: path or pattern of the files.
        files: all that the pattern means.

    Raises:
        DataError: header lines differ.
    """
    lines = {header(file) for file in files}
    if len(lines) > 1:
        raise DataError(
            "the CSV files of a folder need the same header line, the first of each file"
        )
    first = lines.pop()
    mark = separator(first)
    names = next(csv.reader([first], delimiter=mark), [])
    table = connection.read_csv(
        place,
        header=True,
        auto_detect=False,
        columns={_LINE: "VARCHAR"},
        delim="\x01",
        quote="",
        escape="",
        comment="",
        ignore_errors=True,
        strict_mode=False,
        max_line_size=_LONGEST,
    )
    line = table[_LINE].re_replace(r"^[\r\n]+|[\r\n]+$", "")
    quoted, parts = line.contains('"'), line.split(mark)
    field = rf'(?:"(?:[^"]|"")*"|[^"{re.escape(mark)}][^{re.escape(mark)}]*|)'
    others = rf"(?:{re.escape(mark)}{field}){{{len(names) - 1}}}"
    whole = ibis.ifelse(quoted, line.re_search(rf"^{field}{others}$"), parts.length() == len(names))
    records = table.filter(whole)
    found: dict[str, Expression] = {}
    for number, name in enumerate(names):
        one = _extract(line, rf"^(?:{field}{re.escape(mark)}){{{number}}}({field})", 1)
        plain = ibis.ifelse(
            one.startswith('"'), one.substr(1, one.length() - 2).replace('""', '"'), one
        )
        found.setdefault(name, ibis.ifelse(quoted, plain, parts[number]).nullif(""))
    folders = {name: table[name] for name in table.columns if name != _LINE}
    return records.select(**{**found, **folders})
