"""Raw panels, in tables apart from the store's shared ones."""

from __future__ import annotations

import pandas as pd

from data.panel import Panel
from data.store import panels
from data.store.database import Database
from data.store.panels import Appended
from data.store.raw_tables import RawCountRow, RawPanelRow


def open_raw(url: str) -> Database:
    """Open the tables of raw counts that belong to a store, made on first use.

    On PostgreSQL they are in the schema `veilcast_raw`, on which nobody but its owner has any right
    until it is granted; on SQLite in a file beside the store's (`veilcast.raw.db`) that only its
    owner may read.

    Args:
        url: SQLAlchemy URL of the store.

    Raises:
        DataError: it cannot be used.
    """
    return Database(url, raw=True)


def append_raw(
    raw: Database, name: str, counts: pd.DataFrame, *, interval: pd.Timedelta | None = None
) -> Appended:
    """Add raw counts, times × regions, to a panel; a stored interval is never changed.

    Raises:
        DataError: the stored panel has other regions or another interval.
    """
    observed = counts.dropna(how="all")
    length = interval if interval is not None else panels.step(counts)
    with raw.writing() as session:
        regions = [str(region) for region in counts.columns]
        panel = panels.panel_row(session, RawPanelRow, name, regions, length)
        fresh = panels.without_known(session, RawCountRow, panel.id, observed)
        panels.add(session, RawCountRow, fresh, panel=panel.id)
    return Appended(len(fresh), len(observed) - len(fresh))


def read_raw(raw: Database, name: str) -> Panel:
    """Return a raw panel.

    Raises:
        DataError: no such panel, or fewer than two intervals.
    """
    with raw.reading() as session:
        return panels.panel_of(session, RawPanelRow, RawCountRow, name, None, None, raw.name)
