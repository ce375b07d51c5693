"""The ledger's database: SQLite or PostgreSQL, migrated when it is opened, with one writer at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool, StaticPool

from dp.errors import LedgerError, LedgerUnreachableError
from dp.ledger import place

SCHEMA = "0003"
"""The newest migration in `migrations/versions`."""
_PATIENCE = 60
"""Seconds that a writer waits for other writers."""


class Database:
    """One ledger's database.

    Args:
        url: SQLAlchemy URL; `sqlite://` keeps it in memory.

    Raises:
        LedgerError: it cannot be reached or used, or is of a newer schema.
    """

    def __init__(self, url: str) -> None:
        try:
            self._url = place.parse(url)
            self.engine = _engine(url)
        except (ArgumentError, NoSuchModuleError, ValueError):  # ValueError: the port
            raise LedgerError(
                "the ledger's database URL cannot be used; expected sqlite:///path or "
                "postgresql://user:password@host/name in VEILCAST_DATABASE_URL (in a password, write @ "
                "as %40, : as %3A, / as %2F, ? as %3F and # as %23)"
            ) from None
        with self._driver_errors():
            self._bring_up_to_date()

    @property
    def name(self) -> str:
        """The database's URL without credentials."""
        return place.without_credentials(self._url)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a transaction that reads."""
        with self._driver_errors(), Session(self.engine) as session, session.begin():
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a transaction that is the only writer from its first statement, all or nothing.

        Reading what was spent and writing the next charge must be one step.
        """
        writer = self.engine.execution_options(veilcast_write=True)
        with self._driver_errors(), Session(writer) as session, session.begin():
            if self._postgres:
                session.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE}s'"))
                session.execute(text("LOCK TABLE ledger_log IN EXCLUSIVE MODE"))
            yield session

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Hold the exclusive lock on a release; a process that dies releases it."""
        number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], signed=True)
        if self._postgres:
            with self._driver_errors():
                connection = self.engine.connect()
                connection.execute(text("SELECT pg_advisory_lock(:n)"), {"n": number})
                connection.commit()
            try:
                yield
            finally:
                with suppress(DBAPIError):  # the lock goes with its connection
                    connection.execute(text("SELECT pg_advisory_unlock(:n)"), {"n": number})
                    connection.commit()
                connection.close()
            return
        if not self._url.database or self._url.database == ":memory:":
            yield
            return
        with _file_lock(Path(f"{self._url.database}.locks"), f"{number & (2**64 - 1):016x}"):
            yield

    @property
    def _postgres(self) -> bool:
        return self._url.get_backend_name() == "postgresql"

    def _bring_up_to_date(self) -> None:
        with self.engine.connect() as connection:
            version = _version(connection)
        if version == SCHEMA:
            return
        with self.engine.execution_options(veilcast_write=True).begin() as connection:
            if self._postgres:
                connection.execute(text("SELECT pg_advisory_xact_lock(7016392041)"))
            version = _version(connection)
            if version is None and inspect(connection).has_table("ledger_entries"):
                raise LedgerError(
                    f"{self.name} was written by a veilcast before 0.2, whose ledger had no accounts; "
                    "keep it as a record, and move it away or choose another VEILCAST_HOME"
                )
            if version is not None and version > SCHEMA:
                raise LedgerError(
                    f"{self.name} has ledger schema {version}, this veilcast knows {SCHEMA}; use a "
                    "veilcast that is at least as new as the one that wrote it"
                )
            if version != SCHEMA:
                _migrate(connection)

    @contextmanager
    def _driver_errors(self) -> Iterator[None]:
        """Raise errors of the database in words; the text of a statement could quote stored values."""
        try:
            yield
        except DBAPIError as error:
            lines = str(error.orig).strip().splitlines()
            reason = place.scrub(lines[0], self._url) if lines else "no reason given"
            away = isinstance(error, OperationalError) and self._postgres
            raise (LedgerUnreachableError if away else LedgerError)(
                f"the ledger {self.name} cannot be used: {reason}. "
                f"Nothing was drawn. {_advice(str(error.orig))}"
            ) from None


def _advice(message: str) -> str:
    message = message.lower()
    for sign, advice in (
        ("readonly", "Make it writable by this user."),
        ("read-only", "Make it writable by this user."),
        ("full", "Make room on the disk."),
        ("no space", "Make room on the disk."),
        ("unable to open", "Check that its folder exists and is writable."),
        ("locked", f"Others have been writing for {_PATIENCE} s; try again."),
        ("lock timeout", f"Others have been writing for {_PATIENCE} s; try again."),
        ("not a database", "It is no SQLite file; choose another."),
    ):
        if sign in message:
            return advice
    return "Check VEILCAST_DATABASE_URL and that the server is up."


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("ledger_version"):
        return None
    return connection.execute(text("SELECT version_num FROM ledger_version")).scalar()


def _migrate(connection: Connection) -> None:
    import logging

    from alembic import command
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, SCHEMA)


def _engine(url: str) -> Engine:
    made = make_url(url)
    kind = made.get_backend_name()
    if kind == "postgresql":
        return create_engine(made.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    if kind != "sqlite":
        raise LedgerError(f"the ledger is kept in SQLite or PostgreSQL, not in {kind}")
    memory = made.database in (None, "", ":memory:")
    engine = create_engine(
        url,
        connect_args={"timeout": _PATIENCE, **({"check_same_thread": False} if memory else {})},
        poolclass=StaticPool if memory else NullPool,
    )

    @event.listens_for(engine, "connect")
    def _no_implicit_begin(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")  # of seeds nothing may stay in the file

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("veilcast_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


@contextmanager
def _file_lock(folder: Path, name: str) -> Iterator[None]:
    """Hold an exclusive lock on a file, which the system drops with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        try:  # the previous holder may have removed the file that we waited for
            if os.stat(path).st_ino == os.fstat(file).st_ino:
                break
        except FileNotFoundError:
            pass
        os.close(file)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)
