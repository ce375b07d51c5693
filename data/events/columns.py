"""From a raw table to events: the columns that are named, of the types they must have, or an error.

No message quotes a cell, and none a header that may be a record (`data.events.header`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ibis
import pandas as pd

from data.errors import DataError
from data.events.config import EventsConfig
from data.events.connect import Place
from data.events.header import named

Expression = Any  # of Ibis, which has no types for mypy

_ZONE = r"(Z|z|[+-]\d{2}(:?\d{2})?)\s*$"
_WHOLE = r"^[+-]?\d+$"
_DECIMAL = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_CLOCK = r"\d:\d{2}"  # of a time with hours; without, an offset would look like a day


@ibis.udf.scalar.builtin(signature=(("string", "timestamp('UTC')"), "timestamp"))  # type: ignore[untyped-decorator,unused-ignore]
def timezone(zone: str, moment: Any) -> Any:
    """The databases' own: what the clock of a zone shows."""


@dataclass(frozen=True)
class Events:
    """Events as the counting takes them.

    Attributes:
        table: columns person, time (by the panel's clock), and `place` (text) or `latitude` and
            `longitude`; `weight` if there is one.
        timezone: zone of that clock, where the times carried one and were converted; else None.
    """

    table: Expression
    timezone: str | None


def events_of(place: Place, config: EventsConfig) -> Events:
    """The events of a table; those without a person, a time or a place are left out.

    Raises:
        DataError: a column is missing or of a wrong type.
    """
    table = place.table
    where = ("latitude", "longitude") if config.located else ("place",)
    wanted = ["person", "time", *where, *(["weight"] if config.weight else [])]
    columns = {name: named(table, getattr(config, name), name, place.name) for name in wanted}
    time, zone = _clock(place, columns["time"], config)
    found = {"person": _person(place, columns["person"], config), "time": time}
    for name in where:
        kind = _place if name == "place" else _degrees
        found[name] = kind(place, columns[name], config, name)
    if config.weight:
        found["weight"] = _weight(place, columns["weight"], config)
    events = table.select(**found)
    for name in wanted:
        events = events.filter(events[name].notnull())
    if config.min_weight is not None:
        events = events.filter(events.weight >= config.min_weight)
    return Events(events, zone)


def _person(place: Place, person: Expression, config: EventsConfig) -> Expression:
    kind = person.type()
    if kind.is_string():
        return person.nullif("")  # nobody's, not one person's
    if kind.is_uuid():
        return person.cast("string")
    if not kind.is_integer():
        raise _wrong(place, config, "person", person, "whole numbers or text")
    return person


def _place(place: Place, value: Expression, config: EventsConfig, name: str) -> Expression:
    if value.type().is_floating() or value.type().is_nested():
        raise _wrong(place, config, name, value, "text or whole numbers")
    return value.cast("string").nullif("")


def _degrees(place: Place, value: Expression, config: EventsConfig, name: str) -> Expression:
    wanted = "degrees, as numbers"
    if place.text:
        return _number(place, value, config, name, "float64", _DECIMAL, wanted)
    if not value.type().is_numeric():
        raise _wrong(place, config, name, value, wanted)
    return value.cast("float64")


def _weight(place: Place, weight: Expression, config: EventsConfig) -> Expression:
    wanted = "whole numbers, as the noise is"
    if place.text:
        return _number(place, weight, config, "weight", "int64", _WHOLE, wanted)
    if not weight.type().is_integer():
        raise _wrong(place, config, "weight", weight, wanted)
    return weight


def _number(
    place: Place,
    text: Expression,
    config: EventsConfig,
    role: str,
    kind: str,
    form: str,
    wanted: str,
) -> Expression:
    """Numbers from the text of a CSV file."""
    text = text.strip().nullif("")
    number = text.try_cast(kind)
    wrong = text.notnull() & (number.isnull() | ~text.re_search(form))
    found = place.connection.execute(wrong.any())
    if not pd.isna(found) and found:
        raise DataError(
            f"{place.name}: column {getattr(config, role)!r} ({role}) has text that is no such number; "
            f"expected {wanted}"
        )
    return number


def _wrong(
    place: Place, config: EventsConfig, role: str, column: Expression, wanted: str
) -> DataError:
    return DataError(
        f"{place.name}: column {getattr(config, role)!r} ({role}) is of type {column.type()}; expected "
        f"{wanted}"
    )


def _clock(place: Place, time: Expression, config: EventsConfig) -> tuple[Expression, str | None]:
    """Times by the panel's clock, without a zone, and whose clock that is."""
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
        return time, None
    return timezone(config.timezone, time), config.timezone


def _parsed(place: Place, time: Expression, config: EventsConfig) -> Expression:
    """Times from text, all of them with a zone or all without."""
    if not place.loose:
        raise _wrong(place, config, "time", time, "timestamps; convert the column in the database")
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
