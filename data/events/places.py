"""Places to regions: ids as given, cells mapped to regions, coordinates to H3 cells or polygons."""

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
"""Distinct coordinates that are looked up; sites of a network are far fewer."""


def located(
    place: Place,
    events: Expression,
    config: EventsConfig,
    regions: tuple[str, ...] | None,
    *,
    look: bool = False,
) -> tuple[Expression, tuple[str, ...]]:
    """Events with a column `region`, a whole number, and the ids that the numbers stand for.

    Events outside all regions are left out. Coordinates are looked up once each, apart from persons
    and times, and joined where the events are.

    Args:
        place: where the events are.
        events: by `data.events.columns.events_of`.
        config: what says where.
        regions: those that are declared; None for all that occur.
        look: whether to refuse events for what they hold, not only for what is declared.

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
    # no row is left where nobody was in any region: types are told, not guessed
    lookup = ibis.memtable(
        table.astype({**kinds, "region": "int64"})[[*keys, "region"]],
        schema={**kinds, "region": "int64"},
    )
    joined = events.inner_join(lookup, keys)
    kept = [name for name in events.columns if name not in keys]
    return joined.select(*kept, "region"), regions


def _lookup(
    place: Place,
    events: Expression,
    config: EventsConfig,
    regions: tuple[str, ...] | None,
    *,
    look: bool,
) -> pd.DataFrame:
    """What the keys of events are in, column `region`; None outside."""
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
    """Distinct coordinates, without persons and times.

    How many there are is no reason to refuse private events: one more person may be one too many.
    """
    distinct = events.select("latitude", "longitude").distinct()
    asked = distinct.limit(MOST_POSITIONS + 1) if limited else distinct
    found: pd.DataFrame = place.connection.execute(asked)
    if limited and len(found) > MOST_POSITIONS:
        raise DataError(
            f"{place.name} has more than {MOST_POSITIONS:,} different positions; round the coordinates "
            "to what places need (3 decimals are about 100 m), or give cell ids and a mapping"
        )
    return found


def _cells(positions: pd.DataFrame, resolution: int) -> list[str]:
    from h3 import latlng_to_cell

    pairs = zip(positions["latitude"], positions["longitude"], strict=True)
    return [latlng_to_cell(latitude, longitude, resolution) for latitude, longitude in pairs]


def _within(positions: pd.DataFrame, names: list[str], shapes: list[Any]) -> NDArray[np.object_]:
    """The polygon of each position, the first in the file where several hold it; None outside."""
    import shapely

    points = shapely.points(positions["longitude"].to_numpy(), positions["latitude"].to_numpy())
    tree = shapely.STRtree(shapes)
    point, polygon = tree.query(points, predicate="intersects")
    first = np.full(len(positions), len(names))
    np.minimum.at(first, point, polygon)
    found: NDArray[np.object_] = np.array([*names, None], dtype=object)[first]
    return found
