"""CSV files as single lines: no line decides how, or whether, another one is read.

A reader of whole files fails on one line with an extra field, or reads all lines up to the next quote
into one field. The error would reveal whose line it is, and the lines of others would be lost. Here
every line is a record, and a line without the header's number of fields is skipped.
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
    """Call DuckDB's `regexp_extract`."""


def header(path: Path) -> str:
    """Read the first line of a file; records are not decoded."""
    with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
        return bytes(file.readline()).decode("utf-8-sig", errors="replace").rstrip("\r\n")


def separator(line: str) -> str:
    """Return the separator of a header line."""
    return max(SEPARATORS, key=line.count)


def read_lines(connection: Any, place: str, files: list[Path]) -> Expression:
    """Read the records of CSV files, all columns as text.

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
    fields: dict[str, Expression] = {}
    for number, name in enumerate(names):
        text = _extract(line, rf"^(?:{field}{re.escape(mark)}){{{number}}}({field})", 1)
        plain = ibis.ifelse(
            text.startswith('"'), text.substr(1, text.length() - 2).replace('""', '"'), text
        )
        fields.setdefault(name, ibis.ifelse(quoted, plain, parts[number]).nullif(""))
    folders = {name: table[name] for name in table.columns if name != _LINE}
    return records.select(**{**fields, **folders})
