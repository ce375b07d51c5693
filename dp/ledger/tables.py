"""Tables of the ledger: one append-only log, and what is derived from it."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Tables of the ledger."""


class LogRow(Base):
    """One line of the log. Never changed, never removed; each holds the hash of the one before."""

    __tablename__ = "ledger_log"

    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    time: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(16))
    account: Mapped[int] = mapped_column(Integer, index=True)
    entry: Mapped[int | None] = mapped_column(Integer, index=True)
    key: Mapped[str | None] = mapped_column(String(80), index=True)
    fingerprint: Mapped[str | None] = mapped_column(String(64), index=True)
    body: Mapped[str] = mapped_column(Text)
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class AccountRow(Base):
    """An account as the log has left it: one data set and one privacy unit."""

    __tablename__ = "ledger_accounts"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    dataset: Mapped[str] = mapped_column(String(400))
    unit: Mapped[str] = mapped_column(String(32))
    population: Mapped[str | None] = mapped_column(String(400))
    cap_epsilon: Mapped[float | None] = mapped_column(Float)
    cap_delta: Mapped[float | None] = mapped_column(Float)

    __table_args__ = (Index("ledger_accounts_name", "dataset", "unit", unique=True),)


class DatasetRow(Base):
    """A data set by name; derived. Data sets that turned out to be the same one are a family."""

    __tablename__ = "ledger_datasets"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(400), unique=True)
    family: Mapped[int] = mapped_column(Integer, index=True)
    grid: Mapped[str] = mapped_column(Text)
    old: Mapped[bool] = mapped_column(Boolean)


class NameRow(Base):
    """A further name or a print of the content that a data set is recognised by; derived."""

    __tablename__ = "ledger_names"

    dataset: Mapped[int] = mapped_column(ForeignKey("ledger_datasets.id"), primary_key=True)
    value: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)


class TotalRow(Base):
    """The amount spent on the units of one stretch of time; derived, and checked by `verify`."""

    __tablename__ = "ledger_totals"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    account: Mapped[int] = mapped_column(ForeignKey("ledger_accounts.id"))
    start: Mapped[int] = mapped_column(BigInteger)
    end: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[str] = mapped_column(Text)

    __table_args__ = (Index("ledger_totals_reach", "account", "start"),)


class SeedRow(Base):
    """The sealed seed of a stream's group that is not over (`dp.mechanisms.kept_offsets`)."""

    __tablename__ = "ledger_seeds"

    entry: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class ReleaseRow(Base):
    """The content released under an entry, so that it can be returned and is never drawn twice."""

    __tablename__ = "ledger_releases"

    entry: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    content: Mapped[bytes] = mapped_column(LargeBinary)
