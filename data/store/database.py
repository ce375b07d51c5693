"""The store's database: SQLite or PostgreSQL, migrated when it is opened, with one writer at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool, StaticPool

from data.errors import DataError
from data.sources.credentials import HINT, scrubbed, shown, unambiguous
from data.store.raw_tables import SCHEMA as RAW

_NEWEST = {False: "0002", True: "0001"}
"""The newest migration in `migrations`, and in `raw_migrations`."""
_PATIENCE = 60
"""Seconds that a writer waits for other writers."""


class Database:
    """A database with the store's tables, or with those of raw counts.

    Args:
        url: SQLAlchemy URL; `sqlite://` keeps it in memory.
        raw: whether it holds raw counts.

    Raises:
        DataError: it cannot be reached or used, or is of a newer schema.
    """

    def __init__(self, url: str, *, raw: bool = False) -> None:
        try:
            unambiguous(url)
            self._url = _raw_url(make_url(url)) if raw else make_url(url)
        except (ArgumentError, DataError, ValueError):
            raise DataError(
                "the store's database URL cannot be used; expected sqlite:///path or "
                f"postgresql://user:password@host/name in VEILCAST_DATABASE_URL ({HINT})"
            ) from None
        self._raw, self._newest = raw, _NEWEST[raw]
        self._postgres = self._url.get_backend_name() == "postgresql"
        with self._driver_errors():
            self.engine = _engine(self._url, private=raw)
            if raw and not self._postgres:
                self.engine = self.engine.execution_options(schema_translate_map={RAW: None})
            self._bring_up_to_date()

    @property
    def _full(self) -> str:
        return self._url.render_as_string(hide_password=False)

    @property
    def name(self) -> str:
        """The database's URL without credentials."""
        return shown(self._full)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a transaction that reads."""
        with self._driver_errors(), Session(self.engine) as session, session.begin():
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a transaction that is the only writer from its first statement, all or nothing."""
        writer = self.engine.execution_options(veilcast_write=True)
        with self._driver_errors(), Session(writer) as session, session.begin():
            if self._postgres:
                table = f"{RAW}.raw_panels" if self._raw else "store_panels"
                session.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE}s'"))
                session.execute(text(f"LOCK TABLE {table} IN EXCLUSIVE MODE"))
            yield session

    @property
    def _version_table(self) -> dict[str, str | None]:
        schema = RAW if self._raw and self._postgres else None
        return {"version_table": "store_version", "version_table_schema": schema}

    def _bring_up_to_date(self) -> None:
        with self.engine.connect() as connection:
            if self._version(connection) == self._newest:
                return
        with self.engine.execution_options(veilcast_write=True).begin() as connection:
            if self._postgres:
                connection.execute(text("SELECT pg_advisory_xact_lock(7016392042)"))
                if self._raw:
                    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {RAW}"))
            version = self._version(connection)
            if version is not None and version > self._newest:
                raise DataError(
                    f"{self.name} has store schema {version}, this veilcast knows {self._newest}; use a "
                    "veilcast that is at least as new as the one that wrote it"
                )
            if version != self._newest:
                self._migrate(connection)

    def _version(self, connection: Connection) -> str | None:
        table, schema = self._version_table.values()
        if not inspect(connection).has_table(str(table), schema=schema):
            return None
        place = f"{schema}.{table}" if schema else table
        result = connection.execute(text(f"SELECT version_num FROM {place}"))  # noqa: S608  (ours)
        return result.scalar()

    def _migrate(self, connection: Connection) -> None:
        import logging

        from alembic import command
        from alembic.config import Config

        logging.getLogger("alembic").setLevel(logging.WARNING)
        config = Config()
        folder = "raw_migrations" if self._raw else "migrations"
        config.set_main_option("script_location", str(Path(__file__).parent / folder))
        config.attributes["configure"] = {"connection": connection, **self._version_table}
        command.upgrade(config, self._newest)

    @contextmanager
    def _driver_errors(self) -> Iterator[None]:
        """Raise errors of the database in words, without statements and their parameters (counts)."""
        try:
            yield
        except NoSuchModuleError:
            raise DataError(
                f"{self._url.drivername} is no database that SQLAlchemy knows"
            ) from None
        except DBAPIError as error:
            lines = str(error.orig).strip().splitlines()
            # a driver's first line names the reason; what follows may quote a row
            reason = scrubbed(lines[0], self._full) if lines else "no reason given"
            raise DataError(
                f"the store {self.name} cannot be used: {reason}. "
                "Nothing was written. Check VEILCAST_DATABASE_URL, that the server is up, and that "
                "this user may write"
            ) from None


def _raw_url(url: URL) -> URL:
    """Return the URL for raw counts: the same server, or a SQLite file beside the store's."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return url
    path = Path(str(url.database))
    return url.set(database=str(path.with_name(f"{path.stem}.raw{path.suffix}")))


def _engine(url: URL, *, private: bool) -> Engine:
    kind = url.get_backend_name()
    if kind == "postgresql":
        return create_engine(url.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    if kind != "sqlite":
        raise DataError(f"the store is kept in SQLite or PostgreSQL, not in {kind}")
    memory = url.database in (None, "", ":memory:")
    if private and not memory:
        try:  # readable by its owner only, from the start
            os.close(os.open(str(url.database), os.O_WRONLY | os.O_CREAT, 0o600))
        except OSError as error:
            raise DataError(f"{url.database} cannot be written ({error.strerror})") from None
    engine = create_engine(
        url,
        connect_args={"timeout": _PATIENCE, **({"check_same_thread": False} if memory else {})},
        poolclass=StaticPool if memory else NullPool,
    )

    @event.listens_for(engine, "connect")
    def _no_implicit_begin(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("veilcast_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
