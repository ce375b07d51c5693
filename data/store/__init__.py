"""The store: noised panels, forecasts and runs in one database, beside the ledger.

    store = open_store(home.database_url)
    append_panel(store, "city", counts, Released(key, entry, unit, ...))
    panel = read_panel(store, "city")
    append_forecasts(store, "city", Forecast(run, made_at, values, "input", ...))
    latest_forecasts(store, "city")

All functions that append are idempotent, and stored rows are never changed. Raw counts are in tables of
their own (`open_raw`), which are made on first use only.
"""

from data.store.checks import Check, checks_since, fingerprints, note_check
from data.store.database import Database
from data.store.forecasts import (
    Forecast,
    append_forecasts,
    forecast_names,
    latest_forecasts,
    read_forecasts,
)
from data.store.panels import (
    Appended,
    Released,
    append_panel,
    panel_names,
    panel_regions,
    panel_releases,
    read_panel,
    released_until,
    rename_panel,
)
from data.store.raw import append_raw, open_raw, read_raw
from data.store.runs import Run, append_run, find_run, read_runs

__all__ = [
    "Appended",
    "Check",
    "Database",
    "Forecast",
    "Released",
    "Run",
    "append_forecasts",
    "append_panel",
    "append_raw",
    "append_run",
    "checks_since",
    "find_run",
    "fingerprints",
    "forecast_names",
    "latest_forecasts",
    "note_check",
    "open_raw",
    "open_store",
    "panel_names",
    "panel_regions",
    "panel_releases",
    "read_forecasts",
    "read_panel",
    "read_raw",
    "read_runs",
    "released_until",
    "rename_panel",
]


def open_store(url: str) -> Database:
    """Open the store in a database, migrated to the current schema.

    Args:
        url: SQLAlchemy URL of SQLite or PostgreSQL (`Home.database_url`).

    Raises:
        DataError: it cannot be used, or is of a newer schema.
    """
    return Database(url)
