"""Sources of counts: one reader per file, chosen by the source's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import DataError
from data.nesting import Nesting
from data.sources import credentials
from data.sources.files import check_file
from data.sources.identity import identities
from data.sources.table import Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Table", "check", "identities", "read"]


def read(
    source: str,
    *,
    regions_per_interval: int | None = None,
    regions_ever: int | None = None,
    nested: Nesting | None = None,
    persons: int | None = None,
    query: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    since: pd.Timestamp | None = None,
) -> Table:
    """Read counts from a source.

    Args:
        source: `synthetic` (with settings: `synthetic:days=90,seed=2`), `paris-cdr`, the path of a
            CSV or Parquet file, or a database URL with `#table`.
        regions_per_interval: M, declared by the user; overrides what the source declares.
        regions_ever: G, declared by the user.
        nested: regions that lie within others, declared by the user; overrides what the source declares.
        persons: how many people can be in the data; likewise.
        query: for a database URL without `#table`, a SELECT with `:name` for parameters.
        parameters: their values.
        since: from which time on rows are needed; a database sends no others.

    Raises:
        DataError: unknown source, or it cannot be read.
    """
    table = _read(source, since) if query is None else _read_query(source, query, parameters or {})
    declared = {
        "regions_per_interval": regions_per_interval,
        "regions_ever": regions_ever,
        "persons": persons,
    }
    for name, value in declared.items():
        if value is not None and value < 1:
            raise DataError(f"{table.name}: {name}={value} must be at least 1")
    return replace(
        table,
        persons=persons or table.persons,
        regions_per_interval=regions_per_interval or table.regions_per_interval,
        regions_ever=regions_ever,
        nested=nested or table.nested,
    )


def check(source: str) -> None:
    """Refuse a name that is no source, or a missing file, before anything is started.

    Raises:
        DataError: as `read` would; nothing is opened.
    """
    kind = _kind(source)
    if kind in ("csv", "parquet"):
        check_file(Path(source))
    if kind == "sql":
        credentials.connectable(source)


def _read_query(source: str, query: str, parameters: Mapping[str, Any]) -> Table:
    if "://" not in source:
        raise DataError(f"{source}: a query is for database URLs; files are read whole")
    from data.sources import sql

    return sql.read(source, query=query, parameters=parameters)


def _read(source: str, since: pd.Timestamp | None) -> Table:
    """Dispatch to a reader, which is imported on first use."""
    kind = _kind(source)
    if kind == "synthetic":
        from data.sources import synthetic

        return synthetic.read(source)
    if kind == "paris":
        from data.sources import paris

        return paris.read()
    if kind == "sql":
        from data.sources import sql

        return sql.read(source, since)
    if kind == "parquet":
        from data.sources import parquet

        return parquet.read(Path(source))
    from data.sources import csv

    return csv.read(Path(source))


def _kind(source: str) -> str:
    """Return the kind of reader for a source."""
    if source == "synthetic" or source.startswith("synthetic:"):
        return "synthetic"
    if source == "paris-cdr":
        return "paris"
    if ("://" in source or source.startswith("${")) and "#" in source:
        return "sql"
    suffixes = [suffix.lower() for suffix in Path(source).suffixes[-2:]]
    if suffixes[-1:] in ([".parquet"], [".pq"]):
        return "parquet"
    if suffixes == [".csv", ".gz"] or suffixes[-1:] in ([".csv"], [".txt"], [".tsv"]):
        return "csv"
    hint = "add #table to the URL" if "://" in source else "expected one"
    shown = "the database URL" if credentials.shown(source) != source else repr(source)
    raise DataError(
        f"unknown source {shown}; {hint} of: synthetic, paris-cdr, a path ending in .csv or "
        ".parquet, or a database URL with #table"
    )
