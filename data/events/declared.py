"""Declared facts about a panel of events: its regions, its start and its end.

Read off private events, each of these would reveal a single person, exactly and outside of any epsilon:
one person at a rare place adds a column, one early event moves the start.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from data.errors import DataError
from data.events.config import EventsConfig
from data.events.connect import is_synthetic
from data.events.regions import declared_regions
from data.sources.credentials import shown


@dataclass(frozen=True)
class Declared:
    """Regions and period, as far as they are declared.

    Attributes:
        regions: ids, in the order of the panel's columns; None if they are not declared.
        start: of the panel, by its clock; None if it is not declared.
        end: of the panel, by its clock; None if it is not declared.
    """

    regions: tuple[str, ...] | None
    start: pd.Timestamp | None
    end: pd.Timestamp | None

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the fields that are not declared, of `regions`, `start` and `end`."""
        return tuple(name for name in _WAYS if getattr(self, name) is None)


_WAYS = {
    "regions": "regions by events.regions (a list), events.mapping (a file), events.polygons (a file), "
    "or events.h3 with events.box",
    "start": "the start by events.start",
    "end": "the end by events.end (veilcast ingest also takes --until)",
}


def declared(source: str, config: EventsConfig) -> Declared:
    """Return the declarations of a recipe and its files; a made-up city declares its own.

    Raises:
        DataError: a file of places cannot be used, or the box has too many cells.
    """
    regions = declared_regions(config)
    start, end = config.moment("start"), config.moment("end")
    if is_synthetic(source):
        from data.sources.synthetic import described

        city = described(source)
        city_regions = None if config.located else tuple(city.names)
        return Declared(regions or city_regions, start or city.start, end or city.end)
    return Declared(regions, start, end)


def require(
    known: Declared, source: str, needed: tuple[str, ...] = ("regions", "start", "end")
) -> None:
    """Refuse to read off private events what is not declared.

    Raises:
        DataError: something is not declared; the message lists all ways to declare it.
    """
    missing = [name for name in known.missing if name in needed]
    if not missing:
        return
    name = shown(source) if "://" in source else source
    listed = ", ".join(missing[:-1]) + (" and " if missing[1:] else "") + missing[-1]
    ways = "; ".join(_WAYS[name] for name in missing)
    are = "is" if missing in (["start"], ["end"]) else "are"
    raise DataError(
        f"{name}: {listed} of the panel {are} not declared, and what is read off private events tells "
        f"who was there. Declare {ways}. Only mechanism=none reads them off the events; nothing was "
        "read or charged"
    )
