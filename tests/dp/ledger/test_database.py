"""Databases of the ledger that cannot be used: unreachable, read-only, full, of another schema."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from dp.composition.total import COUNTS
from dp.errors import LedgerError
from dp.ledger import Charge, Ledger, verify

Charges = Callable[..., Charge]
NOISED = {
    "mechanism": COUNTS,
    "sigma": 60.0,
    "intervals": 48,
    "regions": 2,
    "weight": 1,
    "panel": {"observed": 96, "interval_seconds": 1800.0, "regions": 2},
}


def test_databases_that_cannot_be_used_say_so(tmp_path: Path, charge: Charges) -> None:
    path = tmp_path / "ledger.db"
    Ledger(f"sqlite:///{path}")
    read_only = Ledger(f"sqlite:///file:{path}?mode=ro&uri=true")
    with pytest.raises(LedgerError, match=r"readonly.*Make it writable"):
        read_only.reserve(charge(NOISED))
    with pytest.raises(LedgerError, match=r"cannot be used.*Check that its folder exists"):
        Ledger(f"sqlite:///{tmp_path / 'no' / 'folder' / 'ledger.db'}")
    with pytest.raises(
        LedgerError, match=r"ledger postgresql://127.0.0.1:1/none cannot.*server is up"
    ):
        Ledger("postgresql://me:hidden@127.0.0.1:1/none")
    for url in (
        "postgresql://127.0.0.1:1/none?user=me&password=hidden",
        "postgresql://me:not@hidden@127.0.0.1:1/none",
        "postgresql://me:hidden@127.0.0.1:hidden/none",
        "postgresql://127.0.0.1:1/none?odd=hidden#x",
    ):
        with pytest.raises(LedgerError) as error:
            Ledger(url)
        assert "hidden" not in str(error.value)
    with pytest.raises(LedgerError, match="SQLite or PostgreSQL, not in mysql"):
        Ledger("mysql://host/name")
    with pytest.raises(LedgerError, match="VEILCAST_DATABASE_URL"):
        Ledger("not a url")
    (tmp_path / "text.db").write_text("this is not a database at all, it is text" * 50)
    with pytest.raises(LedgerError, match="choose another"):
        Ledger(f"sqlite:///{tmp_path / 'text.db'}")
    with sqlite3.connect(tmp_path / "old.db") as connection:
        connection.execute("CREATE TABLE ledger_entries (id INTEGER)")
    with pytest.raises(LedgerError, match=r"before 0\.2"):
        Ledger(f"sqlite:///{tmp_path / 'old.db'}")


def test_a_newer_schema_is_left_alone(url: str) -> None:
    with Ledger(url).database.writing() as session:
        session.execute(text("UPDATE ledger_version SET version_num = '9999'"))
    with pytest.raises(LedgerError, match=r"schema 9999.*knows 0003"):
        Ledger(url)


def test_a_read_only_server_reserves_nothing(postgres: str, charge: Charges, url: str) -> None:
    if not url.startswith("postgres"):
        pytest.skip("a file is tried with the other unusable databases")
    ledger = Ledger(url)
    read_only = Ledger(f"{url}?options=-c%20default_transaction_read_only%3Don")
    with pytest.raises(LedgerError, match=r"read-only.*Make it writable"):
        read_only.reserve(charge(NOISED))
    assert ledger.entries() == ()


def test_a_full_disk_reserves_nothing(tmp_path: Path, charge: Charges) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    engine = ledger.database.engine

    @event.listens_for(engine, "connect")
    def _small(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # the file may not grow

    recipe = {"note": "x" * 100_000}
    with pytest.raises(LedgerError, match=r"full.*Make room"):
        ledger.reserve(charge(NOISED, recipe=recipe))
    assert ledger.entries() == ()
    assert verify(ledger).holds
