"""Event columns: the named columns of a raw table, of the required types, or an error.

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
from data.events.header import column_of

Expression = Any  # of Ibis, which has no types for mypy

_WHOLE = r"^[+-]?\d+$"
_DECIMAL = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


@dataclass(frozen=True)
class Events:
    """Events in the form that is counted.

    Attributes:
        table: columns person, time (by the panel's clock), and `place` (text) or `latitude` and
            `longitude`; `weight` if there is one.
        timezone: zone of that clock, where the times carried one and were converted; else None.
    """

    table: Expression
    timezone: str | None


def events_of(place: Place, config: EventsConfig, *, look: bool = False) -> Events:
    """Return the events of a table; those without a person, a time or a place are left out.

    Args:
        place: where they are.
        config: columns and clock.
        look: whether values may decide on types, the clock or a refusal. Not under a mechanism: an
            error that a single record can cause reveals whether that record exists. A faulty record is
            then left out and changes nothing else.

    Raises:
        DataError: a column is missing or of a wrong type; with `look` also for faulty values.
    """
    table = place.table
    where = ("latitude", "longitude") if config.located else ("place",)
    roles = ["person", "time", *where, *(["weight"] if config.weight else [])]
    shown = look or not place.text
    columns = {
        name: column_of(table, getattr(config, name), name, place.name, shown=shown)
        for name in roles
    }
    time, zone = clock(place, columns["time"], config, look=look)
    chosen = {"person": _person(place, columns["person"], config), "time": time}
    for name in where:
        if name == "place":
            chosen[name] = _place(place, columns[name], config)
        else:
            chosen[name] = _degrees(place, columns[name], config, name, look=look)
    if config.weight:
        chosen["weight"] = _weight(place, columns["weight"], config, look=look)
    events = table.select(**chosen)
    for name in roles:
        events = events.filter(events[name].notnull())
    if config.min_weight is not None:
        events = events.filter(events.weight >= config.min_weight)
    return Events(events, zone)


def _person(place: Place, person: Expression, config: EventsConfig) -> Expression:
    kind = person.type()
    if kind.is_string():
        return person.nullif("")  # an empty identifier is no person
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
    expected, most = "degrees, as numbers", 90 if name == "latitude" else 180
    if place.text:
        value = _number(place, value, config, name, "float64", _DECIMAL, expected, look=look)
    if not value.type().is_numeric():
        raise wrong(place, config, name, value, expected)
    if look:
        return value.cast("float64")
    # before the cast, which fails in some engines; NaN is above all numbers, or not comparable
    return ibis.ifelse(value.between(-most, most), value, None).cast("float64")


def _weight(place: Place, weight: Expression, config: EventsConfig, *, look: bool) -> Expression:
    expected = "whole numbers, as the noise is"
    if place.text:
        weight = _number(place, weight, config, "weight", "int64", _WHOLE, expected, look=look)
    if not weight.type().is_integer():
        raise wrong(place, config, "weight", weight, expected)
    return weight if look else ibis.ifelse(weight >= 0, weight, None)


def _number(
    place: Place,
    text: Expression,
    config: EventsConfig,
    role: str,
    kind: str,
    form: str,
    expected: str,
    *,
    look: bool,
) -> Expression:
    """Parse numbers from the text of a CSV file."""
    text = text.strip().nullif("")
    number = text.try_cast(kind)
    odd = text.notnull() & (number.isnull() | ~text.re_search(form))
    if not look:
        return ibis.ifelse(odd, None, number)
    any_odd = place.connection.execute(odd.any())
    if not pd.isna(any_odd) and any_odd:
        raise DataError(
            f"{place.name}: column {getattr(config, role)!r} ({role}) has text that is no such number; "
            f"expected {expected}"
        )
    return number
