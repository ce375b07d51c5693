"""Events to a table of counts whose contribution bound is enforced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.errors import DataError
from data.events.bound import enforceable
from data.events.columns import check, events_of
from data.events.config import EventsConfig
from data.events.connect import is_synthetic, opened
from data.events.counting import bounded_counts
from data.events.places import located
from data.sources.table import Table


@dataclass(frozen=True)
class Limits:
    """What is asked of the contribution bound, before the panel's size is known.

    Attributes:
        unit: name of the privacy unit.
        intervals_per_unit: K; None for all that a unit has.
        regions_per_interval: M; None for 1.
        weight: w_max.
    """

    unit: str
    intervals_per_unit: int | None = None
    regions_per_interval: int | None = None
    weight: int = 1


def read_events(
    source: str,
    config: EventsConfig,
    limits: Limits,
    *,
    secret: bytes,
    query: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    persons: int | None = None,
) -> Table:
    """Count events under a bound, where they are; counts alone come here.

    An interval in which nobody was seen has counts of 0: which intervals a panel has follows from its
    period.

    Args:
        source: path, folder or database URL (`data.events.connect.opened`), or `synthetic`.
        config: columns, clock and places.
        limits: the bound that is asked for.
        secret: key of the order in which contributions are cut.
        query: instead of a table.
        parameters: of the query.
        persons: how many people can be in the data, if known.

    Raises:
        DataError: the events cannot be used; nothing is loaded.
    """
    with opened(source, query=query, parameters=parameters, text=config.time) as place:
        events = events_of(place, config)
        times = panel_times(config, *check(place, events, config))
        start, end = times[0], times[-1] + config.length
        events = events.filter(
            events.time >= start.to_pydatetime(), events.time < end.to_pydatetime()
        )
        events, regions = located(place, events, config)
        observed = shown_times(times, config.timezone)
        try:
            bound = enforceable(
                limits.unit,
                periods=int(observed.sum()),
                interval=config.length.to_pytimedelta(),
                regions=len(regions),
                intervals_per_unit=limits.intervals_per_unit,
                regions_per_interval=limits.regions_per_interval,
                weight=limits.weight,
            )
        except ValueError as error:
            raise DataError(f"{place.name}: {error}") from None
        seconds = int(config.length.total_seconds())
        counts = bounded_counts(events, bound, seconds=seconds, secret=secret)
        found = place.connection.execute(counts)
    frame = _wide(found, regions, times, int(config.length.total_seconds()))
    frame[~observed] = np.nan
    return Table(
        frame.reset_index(),
        place.name,
        public=is_synthetic(source),
        persons=persons,
        regions_per_interval=bound.regions,
        bound=bound,
    )


def last_event(
    source: str,
    config: EventsConfig,
    *,
    query: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> pd.Timestamp:
    """Time of the latest event, by the panel's clock. Raises DataError like `read_events`."""
    with opened(source, query=query, parameters=parameters, text=config.time) as place:
        return check(place, events_of(place, config), config)[1]


def shown_times(times: pd.DatetimeIndex, zone: str) -> NDArray[np.bool_]:
    """Which times a zone's clock ever shows: in the night in which it is put forward an hour is not."""
    shown = times.tz_localize(zone, nonexistent="NaT", ambiguous=np.ones(len(times), dtype=bool))
    return np.asarray(shown.notna())


def panel_times(config: EventsConfig, first: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
    """Starts of all intervals, from the declared ends of the period or from its events."""
    start = config.moment("start") or first.floor(config.length)
    end = config.moment("end") or last.floor(config.length) + config.length
    if end - start < 2 * config.length:
        raise DataError(
            f"the period has fewer than two intervals of {config.interval}; choose a shorter interval "
            "or a longer period (events.start, events.end)"
        )
    return pd.date_range(start, end, freq=config.length, inclusive="left", name="time")


def _wide(
    found: pd.DataFrame, regions: tuple[str, ...], times: pd.DatetimeIndex, seconds: int
) -> pd.DataFrame:
    """Times × regions, 0 where nobody was seen."""
    counts = np.zeros((len(times), len(regions)))
    first = times[0].value // 10**9 // seconds
    rows = found["interval"].to_numpy(dtype=np.int64) - first
    counts[rows, found["region"].to_numpy(dtype=np.int64)] = found["count"].to_numpy(dtype=float)
    return pd.DataFrame(counts, times, list(regions))
