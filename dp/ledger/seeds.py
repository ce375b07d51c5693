"""Sealed seeds of groups of a stream: kept while the group lives, then overwritten and deleted.

They are no part of the log, which is never shortened, and of no export.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from dp.ledger.tables import SeedRow


def keep(session: Session, entry: int, sealed: bytes) -> None:
    """Keep the sealed seed of the group that an entry was charged for."""
    session.add(SeedRow(entry=entry, sealed=sealed))
    session.flush()


def find(session: Session, entry: int) -> bytes | None:
    """Return the sealed seed of a group; None if there is none (any more)."""
    return session.scalars(select(SeedRow.sealed).where(SeedRow.entry == entry)).first()


def kept(session: Session) -> tuple[int, ...]:
    """Return the entries whose groups have seeds."""
    return tuple(session.scalars(select(SeedRow.entry).order_by(SeedRow.entry)))


def destroy(session: Session, entries: Iterable[int]) -> None:
    """Overwrite seeds in their place, and delete them.

    SQLite clears what it deletes as well (`secure_delete`); PostgreSQL keeps former versions of a row
    until it is vacuumed, and in its write-ahead log.
    """
    over = tuple(entries)
    if over:
        chosen = SeedRow.entry.in_(over)
        session.execute(update(SeedRow).where(chosen).values(sealed=bytes(32)))
        session.execute(delete(SeedRow).where(chosen))
