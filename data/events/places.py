"""Places to regions: ids as given, cells mapped to regions, coordinates to H3 cells or polygons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.errors import DataError
from data.events.config import EventsConfig
from data.events.connect import Place
from data.sources.files import existing

Expression = Any  # of Ibis, which has no types for mypy

MOST_POSITIONS = 5_000_000
"""Distinct coordinates that are looked up; sites of a network are far fewer."""


def located(
    place: Place, events: Expression, config: EventsConfig
) -> tuple[Expression, tuple[str, ...]]:
    """Events with a column `region`, a whole number, and the ids that the numbers stand for.

    Events outside all regions are left out. Coordinates are looked up once each, apart from persons
    and times, and joined where the events are.

    Raises:
        DataError: a file of places cannot be used, or fewer than two regions are left.
    """
    keys = ["latitude", "longitude"] if config.located else ["place"]
    regions: tuple[str, ...] = config.regions
    if config.polygons:
        names, shapes = _polygons(Path(config.polygons), config.polygon_id)
        table = _positions(place, events).assign(region=lambda found: _within(found, names, shapes))
    elif config.h3 is not None:
        resolution = config.h3
        table = _positions(place, events).assign(region=lambda found: _cells(found, resolution))
    elif not config.mapping:
        found = place.connection.execute(events.select("place").distinct())["place"].astype(str)
        table = pd.DataFrame({"place": found, "region": found})
    if config.mapping:
        table = _mapped(None if not config.located else table, Path(config.mapping))
    if not regions:  # names of regions are public: those of a file, or those that occur
        known = set(table["region"].dropna())
        regions = tuple(
            sorted(known | (set(names) if config.polygons and not config.mapping else set()))
        )
    if len(regions) < 2:
        raise DataError(
            f"{place.name}: {len(regions)} region{'s' if not regions else ''} found, expected at least "
            "two; check events.place, events.regions and the files of places"
        )
    numbers = {region: number for number, region in enumerate(regions)}
    table = table.assign(region=table["region"].map(numbers)).dropna(subset=["region"])
    if table.empty:
        raise DataError(
            f"{place.name}: no event is in any of the {len(regions)} regions; check events.regions and "
            "the files of places"
        )
    lookup = ibis.memtable(table.astype({"region": "int64"})[[*keys, "region"]])
    joined = events.inner_join(lookup, keys)
    kept = [name for name in events.columns if name not in keys]
    return joined.select(*kept, "region"), regions


def _positions(place: Place, events: Expression) -> pd.DataFrame:
    """Distinct coordinates, without persons and times."""
    distinct = events.select("latitude", "longitude").distinct()
    found: pd.DataFrame = place.connection.execute(distinct.limit(MOST_POSITIONS + 1))
    if len(found) > MOST_POSITIONS:
        raise DataError(
            f"{place.name} has more than {MOST_POSITIONS:,} different positions; round the coordinates "
            "to what places need (3 decimals are about 100 m), or give cell ids and a mapping"
        )
    return found


def _cells(positions: pd.DataFrame, resolution: int) -> list[str]:
    from h3 import latlng_to_cell

    pairs = zip(positions["latitude"], positions["longitude"], strict=True)
    return [latlng_to_cell(latitude, longitude, resolution) for latitude, longitude in pairs]


def _polygons(path: Path, name: str) -> tuple[list[str], list[Any]]:
    """Ids and shapes of a GeoJSON file's features."""
    from shapely.errors import ShapelyError
    from shapely.geometry import shape

    existing(path)
    try:
        features = json.loads(path.read_text())["features"]
        shapes = [shape(one["geometry"]) for one in features]
        names = [str((one.get("properties") or {})[name]) for one in features]
    except (ValueError, TypeError, AttributeError, ShapelyError):
        raise DataError(
            f"{path} is not GeoJSON: expected a FeatureCollection of polygons"
        ) from None
    except KeyError as error:
        raise DataError(
            f"{path}: a feature has no {error.args[0]!r}; events.polygon_id names the property that "
            "has the region's id"
        ) from None
    wrong = [one.geom_type for one in shapes if one.geom_type not in ("Polygon", "MultiPolygon")]
    if wrong or not shapes or not all(one.is_valid for one in shapes):
        said = (
            f"a feature is a {wrong[0]}"
            if wrong
            else "a polygon is not valid"
            if shapes
            else "empty"
        )
        raise DataError(f"{path}: {said}; expected valid polygons or multipolygons, at least one")
    return names, shapes


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


def _mapped(cells: pd.DataFrame | None, path: Path) -> pd.DataFrame:
    """Regions by the mapping's places, or by the cells of positions."""
    existing(path)
    try:
        mapping = pd.read_csv(path, dtype=str)
    except (ValueError, OSError):
        raise DataError(f"{path} is not a CSV file with the columns place and region") from None
    if not {"place", "region"} <= set(mapping.columns):
        raise DataError(f"{path}: expected the columns place and region")
    mapping = mapping.dropna(subset=["place", "region"])
    if mapping["place"].duplicated().any():
        raise DataError(f"{path}: a place is mapped twice; one place is in one region")
    if cells is None:
        return mapping[["place", "region"]]
    regions = dict(zip(mapping["place"], mapping["region"], strict=True))
    return cells.assign(region=cells["region"].map(regions))
