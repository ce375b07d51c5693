"""The ledger's one table."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Float, Index, Integer, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Tables of the ledger."""


class EntryRow(Base):
    """One charge. Rows are added, never removed; only `state` moves, from charged to released."""

    __tablename__ = "ledger_entries"
    __table_args__ = (Index("ledger_entries_account", "account", "unit"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(String(64), index=True)
    time: Mapped[str] = mapped_column(String(32))
    account: Mapped[str] = mapped_column(String(400))
    fingerprint: Mapped[str] = mapped_column(String(64))
    unit: Mapped[str] = mapped_column(String(32))
    neighbours: Mapped[str] = mapped_column(String(100))
    epsilon: Mapped[float] = mapped_column(Float)
    delta: Mapped[float] = mapped_column(Float)
    rho: Mapped[float] = mapped_column(Float)
    event: Mapped[dict[str, Any]] = mapped_column(JSON)
    purpose: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(16))
