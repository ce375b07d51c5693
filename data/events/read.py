"""Events to a table of counts whose contribution bound is enforced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.bound import enforceable
from data.errors import DataError
from data.events.checks import look as looked_at
from data.events.checks import refuse_impossible, within
from data.events.columns import events_of
from data.events.config import EventsConfig
from data.events.connect import Place, is_synthetic, opened
from data.events.counting import bounded_counts
from data.events.declared import Declared, declared, require
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
    look: bool = False,
) -> Table:
    """Count events under a bound, where they are; counts alone come here.

    An interval in which nobody was seen has counts of 0: which intervals a panel has follows from its
    period. Regions and period are those that are declared. Nothing but the counts depends on the
    events: a record that cannot be one is left out, like one without a person, a time or a place.

    Args:
        source: path, folder or database URL (`data.events.connect.opened`), or `synthetic`.
        config: columns, clock and places.
        limits: the bound that is asked for.
        secret: key of the order in which contributions are cut.
        query: instead of a table.
        parameters: of the query.
        persons: how many people can be in the data, if known.
        look: whether regions and period may be read off the events where they are not declared, and
            events refused for what they hold. Not under a mechanism.

    Raises:
        DataError: regions or period are not declared, or the events cannot be used; nothing is loaded.
    """
    known = declared(source, config)
    if not look:
        require(known, source)
    with opened(source, query=query, parameters=parameters, look=look) as place:
        found = events_of(place, config, look=look)
        times = _times(place, found.table, config, known, look=look)
        events = within(found.table, times[0], times[-1] + config.length)
        events, regions = located(place, events, config, known.regions, look=look)
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
        counts = bounded_counts(events, bound, seconds=seconds, secret=secret, written=place.text)
        cells = place.connection.execute(counts)
    frame = _wide(cells, regions, times, seconds)
    frame[~observed] = np.nan
    return Table(
        frame.reset_index(),
        place.name,
        public=is_synthetic(source),
        persons=persons,
        regions_per_interval=bound.regions,
        bound=bound,
        timezone=found.timezone,
    )


def shown_times(times: pd.DatetimeIndex, zone: str) -> NDArray[np.bool_]:
    """Which times a zone's clock ever shows: in the night in which it is put forward an hour is not."""
    shown = times.tz_localize(zone, nonexistent="NaT", ambiguous=np.ones(len(times), dtype=bool))
    return np.asarray(shown.notna())


def panel_times(config: EventsConfig, start: pd.Timestamp, end: pd.Timestamp) -> pd.DatetimeIndex:
    """Starts of all intervals of a period.

    Raises:
        DataError: there are fewer than two.
    """
    if end - start < 2 * config.length:
        raise DataError(
            f"the period has fewer than two intervals of {config.interval}; choose a shorter interval "
            "or a longer period (events.start, events.end)"
        )
    return pd.date_range(start, end, freq=config.length, inclusive="left", name="time")


def _times(
    place: Place, events: Any, config: EventsConfig, known: Declared, *, look: bool
) -> pd.DatetimeIndex:
    """Starts of the panel's intervals; with `look`, events that cannot be are refused on the way."""
    asked = within(events, known.start, known.end)
    start, end = known.start, known.end
    if look:
        refuse_impossible(place, asked, config)
        first, last = looked_at(place, asked, config)
        start = first.floor(config.length) if start is None else start
        end = last.floor(config.length) + config.length if end is None else end
    assert start is not None  # noqa: S101  (declared, or read off the events)
    assert end is not None  # noqa: S101
    return panel_times(config, start, end)


def _wide(
    found: pd.DataFrame, regions: tuple[str, ...], times: pd.DatetimeIndex, seconds: int
) -> pd.DataFrame:
    """Times × regions, 0 where nobody was seen."""
    counts = np.zeros((len(times), len(regions)))
    first = times[0].value // 10**9 // seconds
    rows = found["interval"].to_numpy(dtype=np.int64) - first
    counts[rows, found["region"].to_numpy(dtype=np.int64)] = found["count"].to_numpy(dtype=float)
    return pd.DataFrame(counts, times, list(regions))
