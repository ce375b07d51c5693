"""Forecasts in the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from sqlalchemy import Select, func, insert, select

from data.store.database import Database
from data.store.tables import ForecastRow

COLUMNS = (
    "made_at",
    "run",
    "time",
    "region",
    "value",
    "lower",
    "upper",
    "mechanism",
    "unit",
    "epsilon",
    "delta",
)


@dataclass(frozen=True)
class Forecast:
    """Forecasts of some intervals, made at the same time.

    Attributes:
        run: id of the training that they come from.
        made_at: when; with a zone, or UTC without.
        values: times × regions, in persons; times are starts of intervals, by the panel's clock.
        mechanism: `none`, `input` or `gradient`.
        unit, epsilon, delta: what the forecast promises; None where it promises nothing.
        lower, upper: ends of prediction intervals, same shape as `values`.
    """

    run: str
    made_at: datetime
    values: pd.DataFrame
    mechanism: str
    unit: str | None = None
    epsilon: float | None = None
    delta: float | None = None
    lower: pd.DataFrame | None = None
    upper: pd.DataFrame | None = None


def append_forecasts(store: Database, panel: str, forecast: Forecast) -> int:
    """Write forecasts of a panel; repeated ones (run, `made_at`, times) change nothing.

    Returns:
        How many rows were added.
    """
    made_at = _utc(forecast.made_at)
    promise = {name: getattr(forecast, name) for name in ("mechanism", "unit", "epsilon", "delta")}
    columns = {
        name: frame.stack()
        for name in ("value", "lower", "upper")
        if (frame := getattr(forecast, "values" if name == "value" else name)) is not None
    }
    rows: list[dict[str, Any]] = [
        {
            "panel": panel,
            "made_at": made_at,
            "run": forecast.run,
            "time": time.to_pydatetime(),
            "region": str(region),
            "value": float(value),
            "lower": None,
            "upper": None,
            **promise,
            **{
                name: float(columns[name].loc[(time, region)])
                for name in ("lower", "upper")
                if name in columns
            },
        }
        for (time, region), value in columns["value"].items()
    ]
    with store.writing() as session:
        query = select(ForecastRow.time, ForecastRow.region).where(
            ForecastRow.panel == panel,
            ForecastRow.made_at == made_at,
            ForecastRow.run == forecast.run,
        )
        known = {tuple(row) for row in session.execute(query)}
        fresh = [row for row in rows if (row["time"], row["region"]) not in known]
        if fresh:
            session.execute(insert(ForecastRow), fresh)
    return len(fresh)


def latest_forecasts(store: Database, panel: str, *, run: str | None = None) -> pd.DataFrame:
    """Return the latest forecasts of a panel, one row per time and region.

    Args:
        store: from `open_store`.
        panel: its name.
        run: of this training only.

    Returns:
        `COLUMNS`, by time and region; no rows where there is no forecast. `made_at` is UTC without a
        zone.
    """
    last = select(func.max(ForecastRow.made_at)).where(ForecastRow.panel == panel)
    if run is not None:
        last = last.where(ForecastRow.run == run)
    return _read(store, _rows(panel, run).where(ForecastRow.made_at == last.scalar_subquery()))


def forecast_names(store: Database) -> tuple[str, ...]:
    """Return the names of all panels that have forecasts."""
    with store.reading() as session:
        query = select(ForecastRow.panel).distinct().order_by(ForecastRow.panel)
        return tuple(session.scalars(query))


def read_forecasts(
    store: Database, panel: str, *, start: datetime | None = None, end: datetime | None = None
) -> pd.DataFrame:
    """Return all forecasts of a half-open range of intervals, in the form of `latest_forecasts`."""
    query = _rows(panel, None)
    if start is not None:
        query = query.where(ForecastRow.time >= start)
    if end is not None:
        query = query.where(ForecastRow.time < end)
    return _read(store, query)


def _rows(panel: str, run: str | None) -> Select[Any]:
    query = select(*(getattr(ForecastRow, name) for name in COLUMNS))
    query = query.where(ForecastRow.panel == panel)
    if run is not None:
        query = query.where(ForecastRow.run == run)
    return query.order_by(ForecastRow.made_at, ForecastRow.time, ForecastRow.region)


def _read(store: Database, query: Select[Any]) -> pd.DataFrame:
    with store.reading() as session:
        return pd.DataFrame(session.execute(query).all(), columns=list(COLUMNS))


def _utc(time: datetime) -> datetime:
    return time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)
