"""What events are refused for where their values may be looked at: not under a mechanism.

Checks look at whether something wrong is there, never at how much of it, and quote no cell.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from data.errors import DataError
from data.events.config import EventsConfig
from data.events.connect import Place

Expression = Any  # of Ibis, which has no types for mypy


def within(events: Expression, start: pd.Timestamp | None, end: pd.Timestamp | None) -> Expression:
    """Events of a period; an end that is None is open."""
    if start is not None:
        events = events.filter(events.time >= start.to_pydatetime())
    if end is not None:
        events = events.filter(events.time < end.to_pydatetime())
    return events


def refuse_impossible(place: Place, events: Expression, config: EventsConfig) -> None:
    """Refuse what no event can be.

    One record decides about it, so this is for `check` and for runs without a mechanism; under one
    such records are left out (`data.events.columns`).

    Raises:
        DataError: coordinates outside the world, weights below 0.
    """
    asked = {}
    if config.located:
        inside = events.latitude.between(-90, 90) & events.longitude.between(-180, 180)
        strange = events.latitude.isnan() | events.longitude.isnan() | ~inside
        asked["outside"] = strange.any()
    if config.weight:
        asked["negative"] = (events.weight < 0).any()
    if not asked:
        return
    found = place.connection.execute(events.aggregate(**asked)).iloc[0]
    if config.located and _yes(found["outside"]):
        raise DataError(
            f"{place.name}: coordinates outside the world; {config.latitude!r} must be from -90 to 90 "
            f"and {config.longitude!r} from -180 to 180 (are they swapped, or not in degrees?)"
        )
    if config.weight and _yes(found["negative"]):
        raise DataError(f"{place.name}: column {config.weight!r} has weights below 0; mend them")


def look(
    place: Place, events: Expression, config: EventsConfig
) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last time of events, and whether they can be what they are said to be.

    This is read off the values: it is for `check` and for runs without a mechanism.

    Raises:
        DataError: no events, or one identifier for all.
    """
    asked = {
        "first": events.time.min(),
        "last": events.time.max(),
        "one": events.person.min() == events.person.max(),
    }
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
    return pd.Timestamp(found["first"]), pd.Timestamp(found["last"])


def _yes(answer: Any) -> bool:
    """Whether any row was so; where there is no row the answer is NULL."""
    return not pd.isna(answer) and bool(answer)
