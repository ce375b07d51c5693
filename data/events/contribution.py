"""Contributions of units: in how many intervals and regions they are, and what a bound cuts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from data.events.config import EventsConfig
from data.events.connect import is_synthetic
from data.events.places import with_regions
from data.events.sightings import opened


@dataclass(frozen=True)
class SeenIntervals:
    """Numbers of persons by the number of intervals they were seen in, for every unit of time.

    Attributes:
        persons: raw counts: start of the unit × number of intervals (1 to what a unit has).
        source: its name without credentials.
        public: whether the events are.
        timezone: zone by whose clock units are defined; None if the source does not name it.
    """

    persons: pd.DataFrame
    source: str
    public: bool
    timezone: str | None


@dataclass(frozen=True)
class SeenRegions:
    """Numbers of persons by the number of regions they were seen in, for every unit of time.

    Attributes:
        persons: raw counts: start of the unit × number of different regions (1 to those of the panel).
        cells: raw counts of the pairs of interval and region in which these persons were seen, in the
            same shape; M and K are not applied.
        source: its name without credentials.
        public: whether the events are.
        timezone: zone by whose clock units are defined; None if the source does not name it.
    """

    persons: pd.DataFrame
    cells: pd.DataFrame
    source: str
    public: bool
    timezone: str | None

    def left_out(self, regions_ever: int) -> float:
        """Return the share of all cells that a bound of G regions is expected to cut.

        Of n regions each is as likely to be kept as any other, so that a person loses (n − G)/n of
        their cells in expectation over the secret order.

        Args:
            regions_ever: G.
        """
        cells = self.cells.to_numpy().sum(axis=0)
        number = np.arange(1, len(cells) + 1)
        lost = np.clip(number - regions_ever, 0, None) / number
        return float(cells @ lost / (cells.sum() or np.nan))


def seen_intervals(
    source: str,
    config: EventsConfig,
    unit: str,
    *,
    query: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> SeenIntervals:
    """Count in how many intervals persons were seen, for every unit of the declared period.

    Args:
        source: as for `read_events`.
        config: columns and clock; places are not read.
        unit: `user`, `user-week` or `user-day`.
        query: instead of a table.
        parameters: of the query.

    Raises:
        DataError: the events cannot be used.
    """
    with opened(source, config, unit, query, parameters, ("start", "end")) as seen:
        units = seen.by_unit("interval").group_by("person", "unit")
        per_person = units.agg(intervals=lambda t: t.count())
        rows = seen.place.connection.execute(
            per_person.group_by("unit", "intervals").agg(persons=lambda t: t.count())
        )
    persons = seen.spread(rows, "intervals", "persons", seen.bound.slots)
    return SeenIntervals(persons, seen.place.name, is_synthetic(source), seen.timezone)


def seen_regions(
    source: str,
    config: EventsConfig,
    unit: str,
    *,
    query: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> SeenRegions:
    """Count in how many different regions persons were seen, for every unit of the declared period.

    Args:
        source: as for `read_events`.
        config: columns, clock and places.
        unit: `user`, `user-week` or `user-day`.
        query: instead of a table.
        parameters: of the query.

    Raises:
        DataError: regions or period are not declared, or the events cannot be used.
    """
    with opened(source, config, unit, query, parameters, ("regions", "start", "end")) as seen:
        placed, regions = with_regions(seen.place, seen.table, config, seen.known.regions)
        cells = replace(seen, table=placed).by_unit("interval", "region")
        per_person = cells.group_by("person", "unit").agg(
            regions=cells.region.nunique(), cells=cells.count()
        )
        rows = seen.place.connection.execute(
            per_person.group_by("unit", "regions").agg(
                persons=per_person.count(), cells=per_person.cells.sum()
            )
        )
    most = len(regions)
    return SeenRegions(
        seen.spread(rows, "regions", "persons", most),
        seen.spread(rows, "regions", "cells", most),
        seen.place.name,
        is_synthetic(source),
        seen.timezone,
    )
