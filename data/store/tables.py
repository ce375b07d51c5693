"""The store's shared tables: noised panels, forecasts and runs, but no raw counts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Tables that everybody who may read the database may read."""


class PanelRow(Base):
    """A series of noised counts; grows at its end."""

    __tablename__ = "store_panels"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(400), unique=True)
    interval_seconds: Mapped[int] = mapped_column(Integer)
    regions: Mapped[str] = mapped_column(Text)


class ReleaseRow(Base):
    """Under which ledger entry a piece of a panel was noised."""

    __tablename__ = "store_releases"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    panel: Mapped[int] = mapped_column(ForeignKey("store_panels.id"), index=True)
    key: Mapped[str] = mapped_column(String(80), unique=True)
    ledger_entry: Mapped[int] = mapped_column(Integer)
    unit: Mapped[str] = mapped_column(String(32))
    epsilon: Mapped[float] = mapped_column(Float)
    delta: Mapped[float] = mapped_column(Float)
    sigma: Mapped[float] = mapped_column(Float)
    sensitivity: Mapped[float] = mapped_column(Float)
    start: Mapped[datetime] = mapped_column(DateTime)
    end: Mapped[datetime] = mapped_column(DateTime)


class CountRow(Base):
    """One noised count. An interval that was not observed has no row."""

    __tablename__ = "store_counts"

    panel: Mapped[int] = mapped_column(ForeignKey("store_panels.id"), primary_key=True)
    time: Mapped[datetime] = mapped_column(DateTime, primary_key=True)
    region: Mapped[str] = mapped_column(String(200), primary_key=True)
    value: Mapped[float] = mapped_column(Float)
    release: Mapped[int] = mapped_column(ForeignKey("store_releases.id"))


class CheckRow(Base):
    """Keyed fingerprints of the counts behind a release, useless without the key."""

    __tablename__ = "store_checks"

    release: Mapped[int] = mapped_column(
        ForeignKey("store_releases.id"), primary_key=True, autoincrement=False
    )
    bound: Mapped[str] = mapped_column(Text)
    prints: Mapped[str] = mapped_column(Text)


class ForecastRow(Base):
    """One forecast of one region's count, with what it promises."""

    __tablename__ = "store_forecasts"

    panel: Mapped[str] = mapped_column(String(400), primary_key=True)
    made_at: Mapped[datetime] = mapped_column(DateTime, primary_key=True)
    run: Mapped[str] = mapped_column(String(64), primary_key=True)
    time: Mapped[datetime] = mapped_column(DateTime, primary_key=True)
    region: Mapped[str] = mapped_column(String(200), primary_key=True)
    value: Mapped[float] = mapped_column(Float)
    lower: Mapped[float | None] = mapped_column(Float)
    upper: Mapped[float | None] = mapped_column(Float)
    mechanism: Mapped[str] = mapped_column(String(32))
    unit: Mapped[str | None] = mapped_column(String(32))
    epsilon: Mapped[float | None] = mapped_column(Float)
    delta: Mapped[float | None] = mapped_column(Float)

    __table_args__ = (Index("store_forecasts_time", "panel", "time"),)


class RunRow(Base):
    """A training that forecasts may come from."""

    __tablename__ = "store_runs"

    run: Mapped[str] = mapped_column(String(64), primary_key=True)
    panel: Mapped[str] = mapped_column(String(400), index=True)
    made_at: Mapped[datetime] = mapped_column(DateTime)
    document: Mapped[str] = mapped_column(Text)
