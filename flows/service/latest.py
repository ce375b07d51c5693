"""Latest forecasts and statements, read from the store and cached for a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool

from data.store import Database, find_run, forecast_names, latest_forecasts
from dp.unit.privacy_unit import parse_unit
from flows.document import Document
from flows.service.answers import Forecasts, Statement, Streams

Key = tuple[str | None, ...]

_FRESH = 1.0
"""Seconds for which an answer is cached."""
_MOST = 512


class Latest:
    """Forecasts and statements of one store.

    Args:
        store: from `data.store.open_store`; reading rights on forecasts and runs are enough.
    """

    def __init__(self, store: Database) -> None:
        self._store = store
        self._cached: dict[Key, tuple[float, bytes | None]] = {}
        self._lock = threading.Lock()

    async def streams(self) -> bytes:
        """Return the names of streams with forecasts, as JSON."""
        return await self._once(("streams",), self._streams) or b""

    async def forecasts(self, stream: str, region: str | None) -> bytes | None:
        """Return the latest forecasts of a stream as JSON; None if there are none.

        Raises:
            LookupError: the stream has no such region.
        """
        return await self._once(("f", stream, region), lambda: self._json(stream, region))

    async def statement(self, run: str) -> bytes | None:
        """Return the statement of a run as JSON; None if there is no such run."""
        return await self._once(("s", run), lambda: self._statement(run))

    async def _once(self, key: Key, read: Callable[[], bytes | None]) -> bytes | None:
        """Return the cached answer if it is fresh; otherwise read it in a thread."""
        cached = self._cached.get(key)
        if cached is not None and time.monotonic() - cached[0] < _FRESH:
            return cached[1]
        return await run_in_threadpool(self._read, key, read)

    def _read(self, key: Key, read: Callable[[], bytes | None]) -> bytes | None:
        with self._lock:  # one reader at a time; the others then find its answer cached
            cached = self._cached.get(key)
            if cached is not None and time.monotonic() - cached[0] < _FRESH:
                return cached[1]
            value = read()
            if len(self._cached) >= _MOST:
                self._cached.clear()
            self._cached[key] = time.monotonic(), value
            return value

    def _streams(self) -> bytes:
        return Streams(streams=list(forecast_names(self._store))).model_dump_json().encode()

    def _json(self, stream: str, region: str | None) -> bytes | None:
        answer = self._forecasts(stream)
        if answer is None:
            return None
        if region is not None:
            answer["values"] = [value for value in answer["values"] if value["region"] == region]
            if not answer["values"]:
                raise LookupError(region)
        return Forecasts.model_validate(answer).model_dump_json().encode()

    def _forecasts(self, stream: str) -> Document | None:
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
                {
                    "time": row.time,
                    "region": row.region,
                    "forecast": row.value,
                    "low": _number(row.lower),
                    "high": _number(row.upper),
                }
                for row in rows.itertuples()
            ],
        }

    def _statement(self, run: str) -> bytes | None:
        entry = find_run(self._store, run)
        if entry is None:
            return None
        return Statement(run=run, statement=entry.document["statement"]).model_dump_json().encode()


def _number(value: str | float | None) -> float | None:
    """Return a number, or None for any of pandas' missing values."""
    return None if value is None or value != value else float(value)
