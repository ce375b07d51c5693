"""Counts from a database table, wide or long."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import (
    DateTime,
    Engine,
    Executable,
    MetaData,
    create_engine,
    inspect,
    select,
    text,
)
from sqlalchemy import Table as SqlTable
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from data.errors import DataError
from data.sources import credentials
from data.sources.credentials import HINT, connectable
from data.sources.shape import TIME_NAMES, to_wide
from data.sources.table import Table


def read(
    source: str,
    since: pd.Timestamp | None = None,
    *,
    query: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Table:
    """Read `URL#table`, any URL that SQLAlchemy understands; the table may be `schema.table`.

    `${NAME}` in the URL stands for an environment variable, so that no password need be written down.

    Args:
        source: the URL; without `#table` if there is a query.
        since: only rows from this time on (UTC where the table has a zone); then there may be none.
        query: SQL with `:name` for parameters.
        parameters: their values, sent bound by the driver.

    Raises:
        DataError: bad URL, driver missing, no connection, no such table, no rows. The password is
            never in the message.
    """
    source = connectable(source)
    address, _, place = (source, "", "query") if query else source.rpartition("#")
    try:
        url = make_url(address)
        if url.drivername == "postgresql":  # the driver that is installed
            url = url.set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):  # ValueError: the port; its message may quote the password
        raise DataError(
            f"not a database URL: expected dialect://user:password@host/database#table ({HINT})"
        ) from None
    shown = f"{credentials.shown(address)}#{place}"
    if _absent_file(url):  # connecting would create it
        raise DataError(f"{shown}: no such database file; check the path")
    schema, _, table = place.rpartition(".")
    if not table:
        raise DataError(f"{shown}: no table is named; write URL#table")
    try:
        engine = create_engine(url)
        if query is None:
            statement: Executable = _rows(
                engine, schema, table, f"{shown}: no table {place!r}", since
            )
        else:
            statement = text(query)
        with engine.connect() as connection:
            answer = connection.execute(statement, dict(parameters or {}))
            # named even if there are no rows
            raw = pd.DataFrame(answer.all(), columns=list(answer.keys()))
        engine.dispose()
    except ModuleNotFoundError as error:
        raise DataError(f"{shown}: the driver {error.name} is missing; install it") from None
    except SQLAlchemyError as error:
        # Messages of drivers may quote the password or values: only their kind is shown.
        raise DataError(
            f"{shown}: the database said {type(error).__name__}; check host, user, password, rights"
        ) from None
    except DataError:
        raise
    except Exception as error:  # its message may quote a parameter or a value
        raise DataError(
            f"{shown}: cannot be read ({type(error).__name__}); check the parameters of the URL, and "
            "that the values of each column are of its type"
        ) from None
    if raw.empty and since is None:
        raise DataError(f"{shown} has no rows; bring one row per interval")
    return Table(to_wide(raw, shown), shown)


def _rows(
    engine: Engine, schema: str, table: str, absent: str, since: pd.Timestamp | None
) -> Executable:
    """Select the rows of a table, whose name is looked up and never pasted into SQL.

    Rows before `since` are left out where the table has a time column of a date-time type.
    """
    names = inspect(engine).get_table_names(schema or None)
    if table not in names:
        raise DataError(f"{absent}; there are {', '.join(sorted(names)[:10]) or 'none'}")
    rows = SqlTable(table, MetaData(schema or None), autoload_with=engine)
    times = [column for column in rows.c if column.name.lower() in TIME_NAMES]
    column = times[0] if times else None
    if since is None or column is None or not isinstance(column.type, DateTime):
        return select(rows)
    start = since.to_pydatetime()
    return select(rows).where(
        column >= (start.replace(tzinfo=UTC) if column.type.timezone else start)
    )


def _absent_file(url: URL) -> bool:
    memory = url.database in (None, "", ":memory:")
    if url.get_backend_name() != "sqlite" or memory or "uri" in url.query:
        return False
    return not Path(str(url.database)).exists()
