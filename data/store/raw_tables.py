"""Tables of raw counts: a schema of its own on PostgreSQL, a file of its own on SQLite."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, Float, ForeignKey, Integer, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA = "veilcast_raw"
"""On PostgreSQL."""


class RawBase(DeclarativeBase):
    """Tables that only those may read who may see raw counts."""

    metadata = MetaData(schema=SCHEMA)


class RawPanelRow(RawBase):
    """A series of raw counts; grows at its end."""

    __tablename__ = "raw_panels"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(400), unique=True)
    interval_seconds: Mapped[int] = mapped_column(Integer)
    regions: Mapped[str] = mapped_column(Text)


class RawCountRow(RawBase):
    """One raw count. An interval that was not observed has no row."""

    __tablename__ = "raw_counts"

    panel: Mapped[int] = mapped_column(ForeignKey(f"{SCHEMA}.raw_panels.id"), primary_key=True)
    time: Mapped[datetime] = mapped_column(DateTime, primary_key=True)
    region: Mapped[str] = mapped_column(String(200), primary_key=True)
    value: Mapped[float] = mapped_column(Float)
