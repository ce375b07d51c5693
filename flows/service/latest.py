"""What is read from the store, and kept for a moment: many ask for the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from data.store import Database, find_run, forecast_names, latest_forecasts
from dp.unit import parse_unit

_FRESH = 1.0
"""Seconds for which an answer is given again."""
_MOST = 512


class Latest:
    """Forecasts and statements of one store.

    Args:
        store: from `data.store.open_store`; reading rights on forecasts and runs are enough.
    """

    def __init__(self, store: Database) -> None:
        self._store = store
        self._kept: dict[tuple[str, ...], tuple[float, Any]] = {}
        self._lock = threading.Lock()

    def streams(self) -> list[str]:
        """Names of streams with forecasts."""
        found: list[str] = self._once(("streams",), lambda: list(forecast_names(self._store)))
        return found

    def forecasts(self, stream: str) -> dict[str, Any] | None:
        """The latest forecasts of a stream; None if it has none."""
        found: dict[str, Any] | None = self._once(("f", stream), lambda: self._forecasts(stream))
        return found

    def statement(self, run: str) -> dict[str, Any] | None:
        """The statement of a run; None if there is no such run."""
        found: dict[str, Any] | None = self._once(("s", run), lambda: self._statement(run))
        return found

    def _once(self, key: tuple[str, ...], read: Callable[[], Any]) -> Any:
        with self._lock:  # one reader at a time: the others find what it read
            kept = self._kept.get(key)
            if kept is not None and time.monotonic() - kept[0] < _FRESH:
                return kept[1]
            value = read()
            if len(self._kept) >= _MOST:
                self._kept.clear()
            self._kept[key] = time.monotonic(), value
            return value

    def _forecasts(self, stream: str) -> dict[str, Any] | None:
        rows = latest_forecasts(self._store, stream)
        if rows.empty:
            return None
        rows = rows[rows["run"] == rows["run"].iloc[-1]]
        first = rows.iloc[0]
        unit = first["unit"]
        return {
            "stream": stream,
            "run": first["run"],
            "made_at": first["made_at"],
            "privacy": {
                "mechanism": first["mechanism"],
                "unit": unit,
                "epsilon": _number(first["epsilon"]),
                "delta": _number(first["delta"]),
                "neighbours": parse_unit(unit).neighbours if unit else None,
            },
            "values": [
                {"time": row.time, "region": row.region, "forecast": row.value,
                 "low": _number(row.lower), "high": _number(row.upper)}
                for row in rows.itertuples()
            ],
        }  # fmt: skip

    def _statement(self, run: str) -> dict[str, Any] | None:
        found = find_run(self._store, run)
        return None if found is None else found.document["statement"]


def _number(value: Any) -> float | None:
    """None for what is missing, however pandas says so."""
    return None if value is None or value != value else float(value)
