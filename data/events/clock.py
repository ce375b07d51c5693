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
"""Times that end with their clock: text after it is a zone, or makes it no time."""

_FIRST, _LAST = datetime(1700, 1, 1), datetime(2260, 1, 1)
"""Engines fail on times far outside of any panel; such records are left out beforehand."""


@ibis.udf.scalar.builtin(signature=(("string", "timestamp('UTC')"), "timestamp"))  # type: ignore[untyped-decorator,unused-ignore]
def timezone(zone: str, moment: Any) -> Any:
    """Call the database's function that shows a moment by the clock of a zone."""


def clock(
    place: Place, time: Expression, config: EventsConfig, *, look: bool
) -> tuple[Expression, str | None]:
    """Return times by the panel's clock, without a zone, and the zone of that clock.

    Args:
        place: where the events are.
        time: the column.
        config: its name, and the panel's clock.
        look: whether the times of all records may decide on their type and clock. Otherwise each record
            is read by itself; one whose time cannot be parsed has none.

    Raises:
        DataError: the column is of a wrong type; with `look` also for its values.
    """
    kind = time.type()
    if kind.is_string() and place.loose and not look:
        return _parse_each(time, config)
    if kind.is_string():
        time = _parse(place, time, config)
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
    place: Place, config: EventsConfig, role: str, column: Expression, expected: str
) -> DataError:
    """Return the error for a column of a wrong type."""
    return DataError(
        f"{place.name}: column {getattr(config, role)!r} ({role}) is of type {column.type()}; expected "
        f"{expected}"
    )


def _parse_each(time: Expression, config: EventsConfig) -> tuple[Expression, str | None]:
    """Parse times from text independently of each other; the recipe alone decides on the clock."""
    bare = time.re_search(_BARE)
    moment = ibis.ifelse(bare, None, time).try_cast("timestamp('UTC')")
    shown = timezone(config.timezone, _moments(moment))
    if config.timezone != "UTC":  # the moment of a time without a zone is unknown
        return shown, config.timezone
    plain = _within(ibis.ifelse(bare, time, None).try_cast("timestamp"), _FIRST, _LAST)
    return ibis.coalesce(shown, plain), None


def _moments(time: Expression) -> Expression:
    return _within(time, _FIRST.replace(tzinfo=UTC), _LAST.replace(tzinfo=UTC))


def _within(value: Expression, low: Any, high: Any) -> Expression:
    """Replace values outside a range by NULL; a CASE evaluates its condition before its result."""
    kind = value.type() if value.type().is_date() else value.type().copy(scale=None)
    between = (value >= ibis.literal(low, kind)) & (value < ibis.literal(high, kind))
    return ibis.ifelse(between, value, None)


def _parse(place: Place, time: Expression, config: EventsConfig) -> Expression:
    """Parse times from text, all of them with a zone or all without."""
    if not place.loose:
        raise wrong(place, config, "time", time, "timestamps; convert the column in the database")
    known = time.notnull() & (time.strip() != "")
    zoned = known & time.re_search(_CLOCK) & time.re_search(_ZONE)
    conditions = {"zoned": zoned.any(), "bare": (known & ~zoned).any()}
    answers = place.connection.execute(place.table.aggregate(**conditions)).iloc[0].fillna(False)
    if answers["zoned"] and answers["bare"]:
        raise DataError(
            f"{place.name}: column {config.time!r} has times with a zone next to times without; which "
            "moment the latter are cannot be known: give all of them a zone, or none"
        )
    # without any time the recipe decides: a declared zone means that times carry zones
    has_zone = answers["zoned"] or (not answers["bare"] and config.timezone != "UTC")
    parsed = time.try_cast("timestamp('UTC')" if has_zone else "timestamp")
    broken = place.connection.execute((known & parsed.isnull()).any())
    if not pd.isna(broken) and broken:
        raise DataError(
            f"{place.name}: column {config.time!r} has text that is no time; write for instance "
            "2024-01-31 12:30:00 or 2024-01-31T12:30:00+01:00"
        )
    return parsed
