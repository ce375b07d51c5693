"""Times of events by the panel's clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import ibis
import pandas as pd

from data.errors import DataError
from data.events.config import EventsConfig
from data.events.connect import Place

Expression = Any  # of Ibis, which has no types for mypy

_ZONE = r"(Z|z|[+-]\d{2}(:?\d{2})?)\s*$"
_CLOCK = r"\d:\d{2}"  # of a time with hours; without, an offset would look like a day
_BARE = r"^[^:]*(\d:\d{2}(:\d{2}(\.\d*)?)?)?\s*$"
"""Times that end with their clock: whatever follows it says a zone, or is not a time."""

_FIRST, _LAST = datetime(1700, 1, 1), datetime(2260, 1, 1)
"""Engines fail on times far outside of any panel; such records are left out before."""


@ibis.udf.scalar.builtin(signature=(("string", "timestamp('UTC')"), "timestamp"))  # type: ignore[untyped-decorator,unused-ignore]
def timezone(zone: str, moment: Any) -> Any:
    """The databases' own: what the clock of a zone shows."""


def clock(
    place: Place, time: Expression, config: EventsConfig, *, look: bool
) -> tuple[Expression, str | None]:
    """Times by the panel's clock, without a zone, and whose clock that is.

    Args:
        place: where the events are.
        time: the column.
        config: its name, and the panel's clock.
        look: whether what the times of all records are may decide anything. Otherwise each record is
            read by itself; one whose time cannot be read has none.

    Raises:
        DataError: the column is of a wrong type; with `look` also for its values.
    """
    kind = time.type()
    if kind.is_string() and place.loose and not look:
        return _each(time, config)
    if kind.is_string():
        time = _parsed(place, time, config)
    elif kind.is_date():
        time = (time if look else _within(time, _FIRST.date(), _LAST.date())).cast("timestamp")
    if not time.type().is_timestamp():
        raise wrong(place, config, "time", time, "timestamps (a bare number names no moment)")
    if time.type().timezone is None:
        if config.timezone != "UTC":
            raise DataError(
                f"{place.name}: column {config.time!r} has no zone, so that events.timezone="
                f"{config.timezone!r} cannot be applied; leave it out (the times are the panel's clock)"
            )
        return (time if look else _within(time, _FIRST, _LAST)), None
    return timezone(config.timezone, time if look else _moments(time)), config.timezone


def wrong(
    place: Place, config: EventsConfig, role: str, column: Expression, wanted: str
) -> DataError:
    """The error for a column of a wrong type."""
    return DataError(
        f"{place.name}: column {getattr(config, role)!r} ({role}) is of type {column.type()}; expected "
        f"{wanted}"
    )


def _each(time: Expression, config: EventsConfig) -> tuple[Expression, str | None]:
    """Times from text, each by itself: whose clock it is follows from the recipe alone."""
    bare = time.re_search(_BARE)
    moment = ibis.ifelse(bare, None, time).try_cast("timestamp('UTC')")
    shown = timezone(config.timezone, _moments(moment))
    if config.timezone != "UTC":  # which moment a bare time is nobody knows
        return shown, config.timezone
    plain = _within(ibis.ifelse(bare, time, None).try_cast("timestamp"), _FIRST, _LAST)
    return ibis.coalesce(shown, plain), None


def _moments(time: Expression) -> Expression:
    return _within(time, _FIRST.replace(tzinfo=UTC), _LAST.replace(tzinfo=UTC))


def _within(value: Expression, low: Any, high: Any) -> Expression:
    """NULL outside; the condition of a CASE is evaluated before what is made of its value."""
    kind = value.type() if value.type().is_date() else value.type().copy(scale=None)
    between = (value >= ibis.literal(low, kind)) & (value < ibis.literal(high, kind))
    return ibis.ifelse(between, value, None)


def _parsed(place: Place, time: Expression, config: EventsConfig) -> Expression:
    """Times from text, all of them with a zone or all without."""
    if not place.loose:
        raise wrong(place, config, "time", time, "timestamps; convert the column in the database")
    known = time.notnull() & (time.strip() != "")
    zoned = known & time.re_search(_CLOCK) & time.re_search(_ZONE)
    asked = {"zoned": zoned.any(), "bare": (known & ~zoned).any()}
    found = place.connection.execute(place.table.aggregate(**asked)).iloc[0].fillna(False)
    if found["zoned"] and found["bare"]:
        raise DataError(
            f"{place.name}: column {config.time!r} has times with a zone next to times without; which "
            "moment the latter are cannot be known: give all of them a zone, or none"
        )
    # without a single time the recipe decides: a zone that is declared is one that times carry
    has_zone = found["zoned"] or (not found["bare"] and config.timezone != "UTC")
    parsed = time.try_cast("timestamp('UTC')" if has_zone else "timestamp")
    broken = place.connection.execute((known & parsed.isnull()).any())
    if not pd.isna(broken) and broken:
        raise DataError(
            f"{place.name}: column {config.time!r} has text that is no time; write for instance "
            "2024-01-31 12:30:00 or 2024-01-31T12:30:00+01:00"
        )
    return parsed
