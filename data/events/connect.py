"""Connections to events: files through DuckDB, databases through their own engine, via Ibis."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ibis

from data.errors import DataError
from data.events.lines import header, read_lines, separator
from data.events.order import exact_remainders
from data.sources.credentials import HINT, connectable, shown
from data.sources.files import check_file

MEMORY = "2GB"
"""Memory of DuckDB before it spills to disk (`VEILCAST_DUCKDB_MEMORY` changes it)."""
_VIEW = "veilcast_query"
_FILES = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".txt": "csv", ".tsv": "csv"}


@dataclass(frozen=True)
class Place:
    """A table of events and the engine that holds it.

    Attributes:
        connection: Ibis' backend.
        table: expression of the raw table.
        name: the source as typed, without credentials.
        loose: whether the engine has casts that give NULL on failure (DuckDB has).
        text: whether all columns come as text, because the format has no types (CSV has none).
    """

    connection: Any
    table: Any
    name: str
    loose: bool
    text: bool = False


@contextmanager
def open_events(
    source: str,
    *,
    query: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    look: bool = False,
) -> Iterator[Place]:
    """Open the table of events of a source; the connection is closed afterwards.

    Args:
        source: path of a Parquet or CSV file, of a folder of them, or a database URL with `#table` (or
            with `query`). `${NAME}` in a URL stands for an environment variable.
        query: SQL with `:name` for parameters, for database URLs.
        parameters: their values.
        look: whether a broken line of a CSV file is an error; otherwise it is skipped.

    Raises:
        DataError: it cannot be opened; no value of the data and no password is in the message.
    """
    name = shown(source)
    if name != source and "://" not in source:  # a misspelt URL; only a file name may be quoted
        raise DataError(
            "not a source of events: expected a path, or dialect://user:password@host/database#table"
        )
    # What DuckDB spills is raw: the folder is readable by this user only, and removed afterwards.
    with tempfile.TemporaryDirectory(prefix="veilcast-") as spill, engine_errors(name):
        text = False
        if is_synthetic(source):
            connection, table = _synthetic(source)
        elif "://" in source:
            connection, table = _database(source, name, query, parameters or {})
        elif query:
            raise DataError(f"{name}: a query is for database URLs; files are read whole")
        else:
            connection, table, text = _files(Path(source), spill, look=look)
        try:
            yield Place(connection, table, name, connection.name == "duckdb", text)
        finally:
            connection.disconnect()


@contextmanager
def engine_errors(name: str) -> Iterator[None]:
    """Raise errors of engines by their kind only; their messages quote rows and credentials."""
    try:
        yield
    except (DataError, KeyboardInterrupt, MemoryError):
        raise
    except ModuleNotFoundError as error:
        raise DataError(f"{name}: the driver {error.name} is missing; install it") from None
    except Exception as error:
        raise DataError(f"{name}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    kind = type(error).__name__
    hints = (
        ("InvalidInput", "a file is not whole, or not what its name says; write it again"),
        (
            "Conversion",
            "a column holds values of another type than its first rows; correct the file",
        ),
        ("OutOfMemory", "not enough memory or disk for it; set VEILCAST_DUCKDB_MEMORY, free disk"),
        ("IO", "a file cannot be read; check that it is there, whole and readable"),
        ("Operational", "the database cannot be reached; check host, user, password, rights"),
    )
    unknown = "the events cannot be read; check the source"
    return f"{next((hint for sign, hint in hints if sign in kind), unknown)} ({kind})"


def is_synthetic(source: str) -> bool:
    """Return whether events are those of a made-up city."""
    return source.partition(":")[0] == "synthetic"


def _synthetic(source: str) -> tuple[Any, Any]:
    from data.sources.synthetic import events

    connection = ibis.duckdb.connect()
    connection.con.register("made_up", events(source))
    return connection, connection.table("made_up")


def _files(path: Path, spill: str, *, look: bool) -> tuple[Any, Any, bool]:
    kind = _kind(path)
    connection = ibis.duckdb.connect()
    settings = {
        "memory_limit": os.environ.get("VEILCAST_DUCKDB_MEMORY", MEMORY),
        "temp_directory": spill,
        "preserve_insertion_order": False,
    }
    for name, value in settings.items():
        connection.con.execute(f"SET {name} = ?", [value])
    place = str(path / "**" / f"*{kind[1]}") if path.is_dir() else str(path)
    if kind[0] == "parquet":
        folders = {"hive_partitioning": path.is_dir(), "hive_types_autocast": False}
        return connection, connection.read_parquet(place, **folders), False
    files = sorted(path.rglob(f"*{kind[1]}")) if path.is_dir() else [path]
    if not look:
        return connection, read_lines(connection, place, files), True
    return connection, connection.read_csv(place, **_dialect(files[0])), True


def _dialect(path: Path) -> dict[str, Any]:
    """Return the options for a CSV file, from its header line alone; all columns are text.

    Types that an engine infers depend on all persons in the rows: a single identifier with a letter
    would turn all identifiers into text, and the order of contributions follows from them.
    """
    return {
        "header": True,
        "delim": separator(header(path)),
        "quote": '"',
        "escape": '"',
        "all_varchar": True,
        "skip": 0,
        "comment": "",
    }


def _kind(path: Path) -> tuple[str, str]:
    """Return format and suffix of the files at a path."""
    if path.is_dir():
        suffixes = sorted(
            {file.suffix.lower() for file in path.rglob("*") if file.suffix.lower() in _FILES}
        )
        if len(suffixes) != 1:
            raise DataError(
                f"{path}: expected a folder of Parquet files, or one of CSV files; found "
                f"{' and '.join(suffixes) or 'neither'}"
            )
        return _FILES[suffixes[0]], suffixes[0]
    check_file(path)
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix not in _FILES:
        raise DataError(
            f"{path}: expected a name ending in {', '.join(_FILES)}, or a folder of such"
        )
    return _FILES[suffix], suffix


def _database(
    source: str, name: str, query: str | None, parameters: Mapping[str, Any]
) -> tuple[Any, Any]:
    source = connectable(source)
    address, hash_, place = (source, "", "") if query else source.rpartition("#")
    if not query and (not hash_ or not place):
        raise DataError(
            f"{name}: not a source of events: expected "
            f"dialect://user:password@host/database#table, or a query ({HINT})"
        )
    if address.startswith("postgresql+psycopg://"):
        address = address.replace("postgresql+psycopg", "postgresql", 1)
    if urlsplit(address).scheme in ("sqlite", "duckdb"):
        file = urlsplit(address).path.removeprefix("/") or ":memory:"
        if file != ":memory:" and not Path(file).exists():  # connecting would create it
            raise DataError(f"{name}: no such database file; check the path")
        if urlsplit(address).scheme == "duckdb":
            connection = ibis.duckdb.connect(file, read_only=file != ":memory:")
        else:
            connection = ibis.sqlite.connect(file)
            exact_remainders(connection)
    else:
        connection = ibis.connect(address)
    if query:
        # our own view: Ibis' statement for reading a query's columns loses its name in newer releases
        # of sqlglot
        connection.raw_sql(_view(query, parameters, connection.dialect, name))
        return connection, connection.table(_VIEW)
    schema, _, table = place.rpartition(".")
    names = connection.list_tables(database=schema or None)
    if table not in names:
        raise DataError(
            f"{name}: no table {place!r}; there are {', '.join(sorted(names)[:10]) or 'none'}"
        )
    return connection, connection.table(table, database=schema or None)


def _view(query: str, parameters: Mapping[str, Any], dialect: Any, name: str) -> str:
    """Return a temporary view of a query, with parameters as literals of the parsed tree.

    They are never pasted as text.
    """
    import sqlglot
    from sqlglot import exp

    try:
        (tree,) = sqlglot.parse(query, read=dialect)
    except (sqlglot.ParseError, ValueError):
        raise DataError(f"{name}: the query cannot be parsed; give a single SELECT") from None
    if not isinstance(tree, exp.Query) or tree.find(exp.DML, exp.DDL, exp.Into):
        raise DataError(f"{name}: the query is not a SELECT; nothing else is sent")
    names = {placeholder.name for placeholder in tree.find_all(exp.Placeholder)}
    if names != set(parameters):
        odd = sorted(names ^ set(parameters))[0]
        raise DataError(
            f"{name}: the query and its parameters do not name the same: {odd!r} is in one of them"
        )
    view = exp.Create(
        this=exp.to_table(_VIEW),
        kind="VIEW",
        expression=exp.replace_placeholders(tree, **parameters),
        properties=exp.Properties(expressions=[exp.TemporaryProperty()]),
    )
    return str(view.sql(dialect=dialect))
