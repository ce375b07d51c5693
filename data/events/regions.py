"""Declared regions: a list, a file of places, polygons, or the cells of a grid in a box."""

from __future__ import annotations

import json
from math import radians, sin
from pathlib import Path
from typing import Any

import pandas as pd

from data.errors import DataError
from data.events.config import EventsConfig
from data.sources.files import check_file

MOST_CELLS = 10_000
"""The most cells in a box; each is a column of the panel and gets noise in every interval."""


def declared_regions(config: EventsConfig) -> tuple[str, ...] | None:
    """Return ids in the order of the panel's columns, whether or not anybody was there.

    Returns:
        None where regions would have to be read off the events.

    Raises:
        DataError: a file cannot be used, or the box has too many cells.
    """
    if config.regions:
        return config.regions
    if config.mapping:
        return tuple(sorted(set(mapping(Path(config.mapping))["region"])))
    if config.polygons:
        return tuple(sorted(set(polygons(Path(config.polygons), config.polygon_id)[0])))
    if config.box and config.h3 is not None:
        return _cells(config.box, config.h3)
    return None


def mapping(path: Path) -> pd.DataFrame:
    """Read a file's places and their regions, columns place and region.

    Raises:
        DataError: it is not such a file, or maps a place twice.
    """
    check_file(path)
    try:
        table = pd.read_csv(path, dtype=str)
    except (ValueError, OSError):
        raise DataError(f"{path} is not a CSV file with the columns place and region") from None
    if not {"place", "region"} <= set(table.columns):
        raise DataError(f"{path}: expected the columns place and region")
    table = table.dropna(subset=["place", "region"])
    if table["place"].duplicated().any():
        raise DataError(f"{path}: a place is mapped twice; one place is in one region")
    return table[["place", "region"]]


def polygons(path: Path, name: str) -> tuple[list[str], list[Any]]:
    """Read ids and shapes of a GeoJSON file's features.

    Raises:
        DataError: it is not GeoJSON, or its features are not valid polygons with ids.
    """
    from shapely.errors import ShapelyError
    from shapely.geometry import shape

    check_file(path)
    try:
        features = json.loads(path.read_text())["features"]
        shapes = [shape(feature["geometry"]) for feature in features]
        names = [str((feature.get("properties") or {})[name]) for feature in features]
    except (ValueError, TypeError, AttributeError, ShapelyError):
        raise DataError(
            f"{path} is not GeoJSON: expected a FeatureCollection of polygons"
        ) from None
    except KeyError as error:
        raise DataError(
            f"{path}: a feature has no {error.args[0]!r}; events.polygon_id names the property that "
            "has the region's id"
        ) from None
    kinds = [polygon.geom_type for polygon in shapes]
    wrong = [kind for kind in kinds if kind not in ("Polygon", "MultiPolygon")]
    if wrong or not shapes or not all(polygon.is_valid for polygon in shapes):
        problem = (
            f"a feature is a {wrong[0]}"
            if wrong
            else "a polygon is not valid"
            if shapes
            else "empty"
        )
        raise DataError(
            f"{path}: {problem}; expected valid polygons or multipolygons, at least one"
        )
    return names, shapes


def _cells(box: tuple[float, ...], resolution: int) -> tuple[str, ...]:
    """Return all H3 cells that touch the box, so that every event within it is in one of them."""
    import h3

    south, west, north, east = box
    about = h3.average_hexagon_area(resolution)
    size = _square_kilometres(box)
    if size / about > MOST_CELLS:
        fits = next(
            (
                coarser
                for coarser in range(resolution, -1, -1)
                if size / h3.average_hexagon_area(coarser) <= MOST_CELLS
            ),
            0,
        )
        raise DataError(
            f"events.box has about {size / about:,.0f} cells of resolution {resolution}, above "
            f"{MOST_CELLS:,}; every cell is a region: choose a smaller box, or events.h3={fits}"
        )
    around = h3.LatLngPoly([(south, west), (south, east), (north, east), (north, west)])
    cells = h3.h3shape_to_cells_experimental(around, resolution, "overlap")
    return tuple(sorted(cells))


def _square_kilometres(box: tuple[float, ...]) -> float:
    south, west, north, east = box
    return 6371.0**2 * radians(east - west) * (sin(radians(north)) - sin(radians(south)))
