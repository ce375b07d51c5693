"""From a raw table to events: the columns that are named, of the types they must have, or an error.

No message quotes a cell, and none a header that may be a record (`data.events.header`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ibis
import pandas as pd

from data.errors import DataError
from data.events.clock import clock, wrong
from data.events.config import EventsConfig
from data.events.connect import Place
from data.events.header import named

Expression = Any  # of Ibis, which has no types for mypy

_WHOLE = r"^[+-]?\d+$"
_DECIMAL = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


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


def events_of(place: Place, config: EventsConfig, *, look: bool = False) -> Events:
    """The events of a table; those without a person, a time or a place are left out.

    Args:
        place: where they are.
        config: columns and clock.
        look: whether values may decide about types, the clock or a refusal. Not under a mechanism: an
            error that one record can cause tells whether that record is there. What is wrong with a
            record then leaves out that record, and changes nothing else.

    Raises:
        DataError: a column is missing or of a wrong type; with `look` also for what records hold.
    """
    table = place.table
    where = ("latitude", "longitude") if config.located else ("place",)
    wanted = ["person", "time", *where, *(["weight"] if config.weight else [])]
    told = look or not place.text
    columns = {
        name: named(table, getattr(config, name), name, place.name, told=told) for name in wanted
    }
    time, zone = clock(place, columns["time"], config, look=look)
    found = {"person": _person(place, columns["person"], config), "time": time}
    for name in where:
        if name == "place":
            found[name] = _place(place, columns[name], config)
        else:
            found[name] = _degrees(place, columns[name], config, name, look=look)
    if config.weight:
        found["weight"] = _weight(place, columns["weight"], config, look=look)
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
        raise wrong(place, config, "person", person, "whole numbers or text")
    return person


def _place(place: Place, value: Expression, config: EventsConfig) -> Expression:
    if value.type().is_floating() or value.type().is_nested():
        raise wrong(place, config, "place", value, "text or whole numbers")
    return value.cast("string").nullif("")


def _degrees(
    place: Place, value: Expression, config: EventsConfig, name: str, *, look: bool
) -> Expression:
    wanted, most = "degrees, as numbers", 90 if name == "latitude" else 180
    if place.text:
        value = _number(place, value, config, name, "float64", _DECIMAL, wanted, look=look)
    if not value.type().is_numeric():
        raise wrong(place, config, name, value, wanted)
    if look:
        return value.cast("float64")
    # before the cast, which fails in some engines; NaN is above all numbers, or not comparable
    return ibis.ifelse(value.between(-most, most), value, None).cast("float64")


def _weight(place: Place, weight: Expression, config: EventsConfig, *, look: bool) -> Expression:
    wanted = "whole numbers, as the noise is"
    if place.text:
        weight = _number(place, weight, config, "weight", "int64", _WHOLE, wanted, look=look)
    if not weight.type().is_integer():
        raise wrong(place, config, "weight", weight, wanted)
    return weight if look else ibis.ifelse(weight >= 0, weight, None)


def _number(
    place: Place,
    text: Expression,
    config: EventsConfig,
    role: str,
    kind: str,
    form: str,
    wanted: str,
    *,
    look: bool,
) -> Expression:
    """Numbers from the text of a CSV file."""
    text = text.strip().nullif("")
    number = text.try_cast(kind)
    odd = text.notnull() & (number.isnull() | ~text.re_search(form))
    if not look:
        return ibis.ifelse(odd, None, number)
    found = place.connection.execute(odd.any())
    if not pd.isna(found) and found:
        raise DataError(
            f"{place.name}: column {getattr(config, role)!r} ({role}) has text that is no such number; "
            f"expected {wanted}"
        )
    return number
