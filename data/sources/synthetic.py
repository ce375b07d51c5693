"""`synthetic`: the counts of a made-up city, offline and public."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import Any

import pandas as pd

from data.errors import DataError
from data.panel import Panel
from data.sources import city as made
from data.sources.city import City, counts
from data.sources.table import Table


def read(source: str) -> Table:
    """Make the city described by `synthetic` or `synthetic:days=90,persons=2000,seed=2`.

    Raises:
        DataError: an unknown setting, or a value out of range.
    """
    city = described(source)
    frame = counts(city).reset_index()
    return Table(frame, source, public=True, persons=city.persons, regions_per_interval=1)


def named(**settings: int | str | None) -> str:
    """Return the name of a made-up city, such as `synthetic:days=28,interval=30min`.

    Args:
        settings: fields of `City`; None for the default.
    """
    given = [f"{name}={value}" for name, value in settings.items() if value is not None]
    return ":".join(["synthetic", ",".join(given)]) if given else "synthetic"


@lru_cache(maxsize=8)
def panel(source: str = "synthetic") -> Panel:
    """Return the counts of a made-up city as a panel, for whatever is tried out on public data.

    Args:
        source: name of the city (`named`).

    Raises:
        DataError: an unknown setting, or a value out of range.
    """
    city = described(source)
    frame = counts(city).astype(float)
    return Panel(frame, source, public=True, persons=city.persons, regions_per_interval=1)


def events(source: str) -> pd.DataFrame:
    """Return the raw records of the same city: person, time, place; public, since made up.

    Raises:
        DataError: an unknown setting, or a value out of range.
    """
    return made.events(described(source))


def described(source: str) -> City:
    """Return the city that a source names; its regions and its period are public.

    Raises:
        DataError: an unknown setting, or a value out of range.
    """
    settings = source.partition(":")[2]
    kinds = {field.name: str if field.name == "interval" else int for field in fields(City)}
    values: dict[str, Any] = {}
    for setting in filter(None, settings.split(",")):
        name, equals, text = (part.strip() for part in setting.partition("="))
        if name not in kinds or not equals:
            raise DataError(
                f"synthetic: unknown setting {setting!r}; write name=value with {', '.join(kinds)}"
            )
        try:
            values[name] = kinds[name](text)
        except ValueError:
            raise DataError(f"synthetic: {name}={text!r} must be a whole number") from None
    return City(**values)
