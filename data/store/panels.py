"""Noised panels in the store, which grow at their end and are never changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from data.errors import DataError
from data.panel import Panel
from data.store.database import Database
from data.store.tables import CountRow, ForecastRow, PanelRow, ReleaseRow, RunRow


@dataclass(frozen=True)
class Released:
    """The charge under which counts were noised.

    Attributes:
        key: the release's key in the ledger.
        ledger_entry: number of the charge.
        unit, epsilon, delta: the guarantee; neighbours by the unit's own relation.
        sigma, sensitivity: of the noise, in persons.
    """

    key: str
    ledger_entry: int
    unit: str
    epsilon: float
    delta: float
    sigma: float
    sensitivity: float


@dataclass(frozen=True)
class Appended:
    """Result of appending counts.

    Attributes:
        new: intervals that were added.
        known: intervals that were there already, and were left as they are.
    """

    new: int
    known: int


def append_panel(
    store: Database,
    name: str,
    counts: pd.DataFrame,
    released: Released,
    *,
    interval: pd.Timedelta | None = None,
) -> Appended:
    """Add noised counts to a panel, which is made by the first of them.

    Repeating a release changes nothing, and a stored interval is never changed.

    Args:
        store: from `open_store`.
        name: of the panel.
        counts: noised, times × regions; rows of NaN (not observed) are not stored.
        released: the charge they were noised under.
        interval: length of one; by default the smallest step of `counts`.

    Raises:
        DataError: the stored panel has other regions or another interval.
    """
    observed = counts.dropna(how="all")
    length = interval if interval is not None else step(counts)
    with store.writing() as session:
        panel = panel_row(
            session, PanelRow, name, [str(region) for region in counts.columns], length
        )
        if session.scalars(select(ReleaseRow).where(ReleaseRow.key == released.key)).first():
            return Appended(0, len(observed))
        fresh = without_known(session, CountRow, panel.id, observed)
        if fresh.empty:
            return Appended(0, len(observed))
        row = ReleaseRow(
            panel=panel.id,
            **vars(released),
            start=fresh.index[0].to_pydatetime(),
            end=(fresh.index[-1] + length).to_pydatetime(),
        )
        session.add(row)
        session.flush()
        add(session, CountRow, fresh, panel=panel.id, release=row.id)
    return Appended(len(fresh), len(observed) - len(fresh))


def read_panel(
    store: Database, name: str, *, start: datetime | None = None, end: datetime | None = None
) -> Panel:
    """Return a noised panel, regular in time, with rows of NaN where not observed.

    Args:
        store: from `open_store`.
        name: of the panel.
        start: of the first interval; by default that of the panel.
        end: all intervals start before it; by default no limit.

    Raises:
        DataError: no such panel, or fewer than two intervals in the range.
    """
    with store.reading() as session:
        return panel_of(session, PanelRow, CountRow, name, start, end, store.name)


def panel_names(store: Database) -> tuple[str, ...]:
    """Return the names of all noised panels."""
    with store.reading() as session:
        return tuple(session.scalars(select(PanelRow.name).order_by(PanelRow.name)))


def rename_panel(store: Database, before: str, now: str) -> None:
    """Give a panel another name, with its forecasts and its runs; its content is unchanged."""
    with store.writing() as session:
        session.execute(update(PanelRow).where(PanelRow.name == before).values(name=now))
        for kind in (ForecastRow, RunRow):
            session.execute(update(kind).where(kind.panel == before).values(panel=now))


def panel_regions(store: Database, name: str) -> tuple[str, ...]:
    """Return the regions of a noised panel as of its first release; none without such a panel."""
    with store.reading() as session:
        regions = session.scalars(select(PanelRow.regions).where(PanelRow.name == name)).first()
    return tuple(json.loads(regions)) if regions else ()


def panel_releases(store: Database, name: str) -> tuple[Released, ...]:
    """Return the charges that a panel's counts were noised under, oldest first."""
    with store.reading() as session:
        panel = session.scalars(select(PanelRow.id).where(PanelRow.name == name)).first()
        query = select(ReleaseRow).where(ReleaseRow.panel == panel).order_by(ReleaseRow.id)
        fields = Released.__dataclass_fields__
        return tuple(
            Released(**{field: getattr(row, field) for field in fields})
            for row in session.scalars(query)
        )


def released_until(store: Database, name: str) -> pd.Timestamp | None:
    """Return the end of a noised panel's last interval; None without such a panel."""
    with store.reading() as session:
        query = (
            select(ReleaseRow.end)
            .join(PanelRow, PanelRow.id == ReleaseRow.panel)
            .where(PanelRow.name == name)
            .order_by(ReleaseRow.end.desc())
        )
        end = session.scalars(query).first()
    return None if end is None else pd.Timestamp(end)


def panel_row(
    session: Session, kind: Any, name: str, regions: list[str], interval: pd.Timedelta
) -> Any:
    """Return the row of a panel, made if there is none; shared with the tables of raw counts."""
    row = session.scalars(select(kind).where(kind.name == name)).first()
    seconds = int(interval.total_seconds())
    if row is None:
        row = kind(name=name, interval_seconds=seconds, regions=json.dumps(regions))
        session.add(row)
        session.flush()
    if row.interval_seconds != seconds:
        raise DataError(
            f"the store has {name!r} in intervals of {row.interval_seconds / 60:g} minutes, these are "
            f"of {seconds / 60:g}; give this panel another name"
        )
    if set(json.loads(row.regions)) != set(regions):
        raise DataError(
            f"the store has {name!r} with {len(json.loads(row.regions))} regions, these counts have "
            f"{len(regions)}, not the same ones; declare the regions once, or give this panel "
            "another name"
        )
    return row


def without_known(session: Session, kind: Any, panel: int, counts: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of counts whose time is not in the store yet."""
    if counts.empty:
        return counts
    query = (
        select(kind.time)
        .where(kind.panel == panel, kind.time >= counts.index[0].to_pydatetime())
        .distinct()
    )
    known = pd.DatetimeIndex(list(session.scalars(query)))
    return counts[~pd.DatetimeIndex(counts.index).isin(known)]


def add(session: Session, kind: Any, counts: pd.DataFrame, **same: Any) -> None:
    """Write counts, one row each."""
    rows: Iterator[dict[str, Any]] = (
        {"time": time.to_pydatetime(), "region": str(region), "value": float(value), **same}
        for time, line in zip(counts.index, counts.to_numpy(dtype=np.float64), strict=True)
        for region, value in zip(counts.columns, line, strict=True)
    )
    while some := list(islice(rows, 5000)):
        session.execute(insert(kind), some)


def panel_of(
    session: Session,
    kind: Any,
    cells: Any,
    name: str,
    start: datetime | None,
    end: datetime | None,
    place: str,
) -> Panel:
    """Return a panel from its rows; shared with the tables of raw counts."""
    row = session.scalars(select(kind).where(kind.name == name)).first()
    if row is None:
        known = ", ".join(session.scalars(select(kind.name).order_by(kind.name).limit(10)))
        raise DataError(f"{place} has no panel {name!r}; it has {known or 'none yet'}")
    query = select(cells.time, cells.region, cells.value).where(cells.panel == row.id)
    if start is not None:
        query = query.where(cells.time >= start)
    if end is not None:
        query = query.where(cells.time < end)
    rows = pd.DataFrame(session.execute(query).all(), columns=["time", "region", "value"])
    if rows["time"].nunique() < 2:
        raise DataError(f"{place}: panel {name!r} has fewer than two intervals in that period")
    wide = rows.pivot(index="time", columns="region", values="value")
    first, last = wide.index.min(), wide.index.max()
    regular = pd.date_range(first, last, freq=f"{row.interval_seconds}s", name="time")
    counts = wide.reindex(index=regular, columns=json.loads(row.regions)).astype(float)
    counts.columns.name = None
    return Panel(counts, source=name)


def step(counts: pd.DataFrame) -> pd.Timedelta:
    """Return the smallest step between two times of a frame."""
    if len(counts) < 2:
        raise ValueError("one interval does not tell how long it is; give its length")
    times = pd.DatetimeIndex(counts.index)
    return pd.Timedelta((times[1:] - times[:-1]).min())
