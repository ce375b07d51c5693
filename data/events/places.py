"""Regions of places: ids as given, cells mapped to regions, coordinates in H3 cells or polygons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.errors import DataError
from data.events.config import EventsConfig
from data.events.connect import Place
from data.events.regions import mapping, polygons

Expression = Any  # of Ibis, which has no types for mypy

MOST_POSITIONS = 5_000_000
"""The most distinct coordinates that are looked up; a network has far fewer sites."""


def with_regions(
    place: Place,
    events: Expression,
    config: EventsConfig,
    regions: tuple[str, ...] | None,
    *,
    look: bool = False,
) -> tuple[Expression, tuple[str, ...]]:
    """Add a column `region`, a whole number, and return the ids that the numbers stand for.

    Events outside all regions are left out. Coordinates are looked up once each, apart from persons
    and times, and joined where the events are.

    Args:
        place: where the events are.
        events: by `data.events.columns.events_of`.
        config: columns and files of places.
        regions: the declared ones; None for all that occur.
        look: whether events may be refused for their values, not only for what is declared.

    Raises:
        DataError: a file of places cannot be used, or fewer than two regions are left.
    """
    keys = ["latitude", "longitude"] if config.located else ["place"]
    table = _lookup(place, events, config, regions, look=look)
    if regions is None:
        regions = tuple(sorted(set(table["region"].dropna())))
    if len(regions) < 2:
        raise DataError(
            f"{place.name}: {len(regions)} region{'s' if not regions else ''} found, expected at least "
            "two; check events.place, events.regions and the files of places"
        )
    numbers = {region: number for number, region in enumerate(regions)}
    table = table.assign(region=table["region"].map(numbers)).dropna(subset=["region"])
    if look and table.empty:
        raise DataError(
            f"{place.name}: no event is in any of the {len(regions)} regions; check events.regions and "
            "the files of places"
        )
    kinds = dict.fromkeys(keys, "float64" if config.located else "string")
    # there may be no rows, so that types are declared, not inferred
    lookup = ibis.memtable(
        table.astype({**kinds, "region": "int64"})[[*keys, "region"]],
        schema={**kinds, "region": "int64"},
    )
    joined = events.inner_join(lookup, keys)
    others = [name for name in events.columns if name not in keys]
    return joined.select(*others, "region"), regions


def _lookup(
    place: Place,
    events: Expression,
    config: EventsConfig,
    regions: tuple[str, ...] | None,
    *,
    look: bool,
) -> pd.DataFrame:
    """Return the keys of events with the region that each is in; None outside."""
    if config.located:
        table = _positions(place, events, limited=look)
        if config.polygons:
            names, shapes = polygons(Path(config.polygons), config.polygon_id)
            table = table.assign(region=_within(table, names, shapes))
        else:
            assert config.h3 is not None  # noqa: S101  (coordinates have polygons or h3)
            table = table.assign(region=_cells(table, config.h3))
        if not config.mapping:
            return table
        given = mapping(Path(config.mapping))
        known = dict(zip(given["place"], given["region"], strict=True))
        return table.assign(region=table["region"].map(known))
    if config.mapping:
        return mapping(Path(config.mapping))
    if look or regions is None:
        distinct = events.select("place").distinct()
        regions = tuple(place.connection.execute(distinct)["place"].astype(str))
    return pd.DataFrame({"place": list(regions), "region": list(regions)}, dtype=object)


def _positions(place: Place, events: Expression, *, limited: bool) -> pd.DataFrame:
    """Return the distinct coordinates, without persons and times.

    Private events are never refused for their number of positions, which one person can change.
    """
    distinct = events.select("latitude", "longitude").distinct()
    query = distinct.limit(MOST_POSITIONS + 1) if limited else distinct
    positions: pd.DataFrame = place.connection.execute(query)
    if limited and len(positions) > MOST_POSITIONS:
        raise DataError(
            f"{place.name} has more than {MOST_POSITIONS:,} different positions; round the coordinates "
            "to what places need (3 decimals are about 100 m), or give cell ids and a mapping"
        )
    return positions


def _cells(positions: pd.DataFrame, resolution: int) -> list[str]:
    from h3 import latlng_to_cell

    pairs = zip(positions["latitude"], positions["longitude"], strict=True)
    return [latlng_to_cell(latitude, longitude, resolution) for latitude, longitude in pairs]


def _within(positions: pd.DataFrame, names: list[str], shapes: list[Any]) -> NDArray[np.object_]:
    """Return the polygon of each position, the first in the file if several contain it, else None."""
    import shapely

    points = shapely.points(positions["longitude"].to_numpy(), positions["latitude"].to_numpy())
    tree = shapely.STRtree(shapes)
    point, polygon = tree.query(points, predicate="intersects")
    first = np.full(len(positions), len(names))
    np.minimum.at(first, point, polygon)
    result: NDArray[np.object_] = np.array([*names, None], dtype=object)[first]
    return result
