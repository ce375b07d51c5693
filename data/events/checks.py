"""Checks of the values of events, for `check` and for runs without a mechanism.

A check establishes whether there is a fault, never how many there are, and quotes no cell.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from data.errors import DataError
from data.events.config import EventsConfig
from data.events.connect import Place

Expression = Any  # of Ibis, which has no types for mypy


def within(events: Expression, start: pd.Timestamp | None, end: pd.Timestamp | None) -> Expression:
    """Return the events of a period; an end that is None is open."""
    if start is not None:
        events = events.filter(events.time >= start.to_pydatetime())
    if end is not None:
        events = events.filter(events.time < end.to_pydatetime())
    return events


def refuse_impossible(place: Place, events: Expression, config: EventsConfig) -> None:
    """Refuse values that no event can have.

    A single record decides, so this is for `check` and for runs without a mechanism; under a mechanism
    such records are left out (`data.events.columns`).

    Raises:
        DataError: coordinates outside the world, weights below 0.
    """
    conditions = {}
    if config.located:
        inside = events.latitude.between(-90, 90) & events.longitude.between(-180, 180)
        strange = events.latitude.isnan() | events.longitude.isnan() | ~inside
        conditions["outside"] = strange.any()
    if config.weight:
        conditions["negative"] = (events.weight < 0).any()
    if not conditions:
        return
    answers = place.connection.execute(events.aggregate(**conditions)).iloc[0]
    if config.located and _is_true(answers["outside"]):
        raise DataError(
            f"{place.name}: coordinates outside the world; {config.latitude!r} must be from -90 to 90 "
            f"and {config.longitude!r} from -180 to 180 (are they swapped, or not in degrees?)"
        )
    if config.weight and _is_true(answers["negative"]):
        raise DataError(f"{place.name}: column {config.weight!r} has weights below 0; correct them")


def look(
    place: Place, events: Expression, config: EventsConfig
) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the first and the last time of events; refuse events that cannot be what is declared.

    This reads values, and is for `check` and for runs without a mechanism.

    Raises:
        DataError: no events, or one identifier for all.
    """
    measures = {
        "first": events.time.min(),
        "last": events.time.max(),
        "single": events.person.min() == events.person.max(),
    }
    answers = place.connection.execute(events.aggregate(**measures)).iloc[0]
    if pd.isna(answers["first"]):
        span = f" from {config.start or 'the beginning'} to {config.end or 'the end'}"
        period = span if config.start or config.end else ""
        raise DataError(
            f"{place.name} has no events{period} with a person, a time and a place; check the period "
            "and the columns"
        )
    if answers["single"]:
        raise DataError(
            f"{place.name}: column {config.person!r} is the same for all events; name the column that "
            "tells persons apart (events.person)"
        )
    return pd.Timestamp(answers["first"]), pd.Timestamp(answers["last"])


def _is_true(answer: Any) -> bool:
    """Return whether any row matched; without rows the answer is NULL."""
    return not pd.isna(answer) and bool(answer)
