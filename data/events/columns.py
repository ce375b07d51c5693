"""From a raw table to events: the columns that are named, of the types they must have, or an error.

Checks look at whether something wrong is there, never at how much of it, and quote no cell.
"""

from __future__ import annotations

import difflib
from typing import Any

import ibis
import pandas as pd

from data.errors import DataError
from data.events.config import EventsConfig
from data.events.connect import Place

Expression = Any  # of Ibis, which has no types for mypy

_ZONE = r"(Z|z|[+-]\d{2}(:?\d{2})?)\s*$"
_CLOCK = r"\d:\d{2}"  # of a time with hours; without, an offset would look like a day


@ibis.udf.scalar.builtin(signature=(("string", "timestamp('UTC')"), "timestamp"))  # type: ignore[untyped-decorator,unused-ignore]
def timezone(zone: str, moment: Any) -> Any:
    """The databases' own: what the clock of a zone shows."""


def events_of(place: Place, config: EventsConfig) -> Expression:
    """Events with columns `person`, `time` (by the panel's clock) and what says where.

    Events without a person, a time or a place are left out.

    Returns:
        Columns person, time, and `place` (text) or `latitude` and `longitude`; `weight` if there is one.

    Raises:
        DataError: a column is missing or of a wrong type.
    """
    table = place.table
    where = ("latitude", "longitude") if config.located else ("place",)
    wanted = ["person", "time", *where, *(["weight"] if config.weight else [])]
    columns = {name: _named(table, getattr(config, name), name, place.name) for name in wanted}
    person = columns["person"]
    if not (person.type().is_integer() or person.type().is_string()):
        if not person.type().is_uuid():
            raise _wrong(place, config, "person", person, "whole numbers or text")
        person = person.cast("string")
    found = {"person": person, "time": _clock(place, columns["time"], config)}
    for name in where:
        value = columns[name]
        if name == "place":
            if value.type().is_floating() or value.type().is_nested():
                raise _wrong(place, config, name, value, "text or whole numbers")
            value = value.cast("string")
        elif not value.type().is_numeric():
            raise _wrong(place, config, name, value, "degrees, as numbers")
        else:
            value = value.cast("float64")
        found[name] = value
    if config.weight:
        weight = columns["weight"]
        if not weight.type().is_integer():
            raise _wrong(place, config, "weight", weight, "whole numbers, as the noise is")
        found["weight"] = weight
    events = table.select(**found)
    for name in ("person", "time", *where, *(["weight"] if config.weight else [])):
        events = events.filter(events[name].notnull())
    if config.min_weight is not None:
        events = events.filter(events.weight >= config.min_weight)
    return events


def check(
    place: Place, events: Expression, config: EventsConfig
) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Look for what would make counts meaningless; first and last time of the period's events.

    Raises:
        DataError: no events, one identifier for all, coordinates outside the world, no time.
    """
    start, end = config.moment("start"), config.moment("end")
    if start is not None:
        events = events.filter(events.time >= start.to_pydatetime())
    if end is not None:
        events = events.filter(events.time < end.to_pydatetime())
    asked = {
        "first": events.time.min(),
        "last": events.time.max(),
        "one": events.person.min() == events.person.max(),
    }
    if config.located:
        inside = events.latitude.between(-90, 90) & events.longitude.between(-180, 180)
        strange = events.latitude.isnan() | events.longitude.isnan() | ~inside
        asked["outside"] = strange.any()
    if config.weight:
        asked["negative"] = (events.weight < 0).any()
    found = place.connection.execute(events.aggregate(**asked)).iloc[0]
    if pd.isna(found["first"]):
        span = f" from {config.start or 'the beginning'} to {config.end or 'the end'}"
        period = span if config.start or config.end else ""
        raise DataError(
            f"{place.name} has no events{period} with a person, a time and a place; check the period "
            "and the columns"
        )
    if found["one"]:
        raise DataError(
            f"{place.name}: column {config.person!r} is the same for all events; name the column that "
            "tells persons apart (events.person)"
        )
    if config.located and found["outside"]:
        raise DataError(
            f"{place.name}: coordinates outside the world; {config.latitude!r} must be from -90 to 90 "
            f"and {config.longitude!r} from -180 to 180 (are they swapped, or not in degrees?)"
        )
    if config.weight and found["negative"]:
        raise DataError(f"{place.name}: column {config.weight!r} has weights below 0; mend them")
    return pd.Timestamp(found["first"]), pd.Timestamp(found["last"])


def _named(table: Expression, column: str, role: str, name: str) -> Expression:
    if column in table.columns:
        return table[column]
    close = difflib.get_close_matches(column, table.columns, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(table.columns[:12])}"
    raise DataError(f"{name} has no column {column!r}; {hint} (events.{role} names it)")


def _wrong(
    place: Place, config: EventsConfig, role: str, column: Expression, wanted: str
) -> DataError:
    return DataError(
        f"{place.name}: column {getattr(config, role)!r} ({role}) is of type {column.type()}; expected "
        f"{wanted}"
    )


def _clock(place: Place, time: Expression, config: EventsConfig) -> Expression:
    """Times by the panel's clock, without a zone."""
    if time.type().is_string():
        time = _parsed(place, time, config)
    elif time.type().is_date():
        time = time.cast("timestamp")
    if not time.type().is_timestamp():
        raise _wrong(place, config, "time", time, "timestamps (a bare number names no moment)")
    if time.type().timezone is None:
        if config.timezone != "UTC":
            raise DataError(
                f"{place.name}: column {config.time!r} has no zone, so that events.timezone="
                f"{config.timezone!r} cannot be applied; leave it out (the times are the panel's clock)"
            )
        return time
    return timezone(config.timezone, time)


def _parsed(place: Place, time: Expression, config: EventsConfig) -> Expression:
    """Times from text, all of them with a zone or all without."""
    if not place.loose:
        raise _wrong(place, config, "time", time, "timestamps; convert the column in the database")
    known = time.notnull() & (time.strip() != "")
    zoned = known & time.re_search(_CLOCK) & time.re_search(_ZONE)
    asked = {"zoned": zoned.any(), "bare": (known & ~zoned).any()}
    found = place.connection.execute(place.table.aggregate(**asked)).iloc[0]
    if found["zoned"] and found["bare"]:
        raise DataError(
            f"{place.name}: column {config.time!r} has times with a zone next to times without; which "
            "moment the latter are cannot be known: give all of them a zone, or none"
        )
    parsed = time.try_cast("timestamp('UTC')" if found["zoned"] else "timestamp")
    broken = (known & parsed.isnull()).any()
    if place.connection.execute(broken):
        raise DataError(
            f"{place.name}: column {config.time!r} has text that is no time; write for instance "
            "2024-01-31 12:30:00 or 2024-01-31T12:30:00+01:00"
        )
    return parsed
