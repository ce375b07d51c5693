"""Events as a table of counts with an enforced contribution bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.bound import enforceable
from data.errors import BoundError, DataError
from data.events.checks import look as check_values
from data.events.checks import refuse_impossible, within
from data.events.columns import events_of
from data.events.config import EventsConfig
from data.events.connect import Place, is_synthetic, open_events
from data.events.counting import bounded_counts
from data.events.declared import Declared, declared, require
from data.events.places import with_regions
from data.sources.table import Table


@dataclass(frozen=True)
class Limits:
    """Requested contribution bound, before the panel's size is known.

    Attributes:
        unit: name of the privacy unit.
        intervals_per_unit: K; None for all intervals of a unit.
        regions_per_interval: M; None for 1.
        weight: w_max.
        regions_ever: G; None for no bound.
        runs_per_day: r; None for no bound.
    """

    unit: str
    intervals_per_unit: int | None = None
    regions_per_interval: int | None = None
    weight: int = 1
    regions_ever: int | None = None
    runs_per_day: int | None = None


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
    """Count events under a bound in their own engine, and load only the counts.

    The intervals of a panel follow from its period; one in which nobody was seen has counts of 0.
    Regions and period are the declared ones. Nothing but the counts depends on the events: an invalid
    record is left out, like one without a person, a time or a place.

    Args:
        source: path, folder or database URL (`data.events.connect.open_events`), or `synthetic`.
        config: columns, clock and places.
        limits: the requested bound.
        secret: key of the order in which contributions are cut.
        query: instead of a table.
        parameters: of the query.
        persons: how many people can be in the data, if known.
        look: whether regions and period may be read off the events where they are not declared, and
            events refused for their values. Not under a mechanism.

    Raises:
        BoundError: the requested bound does not fit the panel.
        DataError: regions or period are not declared, or the events cannot be used; nothing is loaded.
    """
    known = declared(source, config)
    if not look:
        require(known, source)
    with open_events(source, query=query, parameters=parameters, look=look) as place:
        read = events_of(place, config, look=look)
        times = _times(place, read.table, config, known, look=look)
        events = within(read.table, times[0], times[-1] + config.length)
        events, regions = with_regions(place, events, config, known.regions, look=look)
        observed = shown_times(times, config.timezone)
        try:
            bound = enforceable(
                limits.unit,
                periods=int(observed.sum()),
                interval=config.length.to_pytimedelta(),
                regions=len(regions),
                intervals_per_unit=limits.intervals_per_unit,
                regions_per_interval=limits.regions_per_interval,
                regions_ever=limits.regions_ever,
                runs_per_day=limits.runs_per_day,
                weight=limits.weight,
            )
        except ValueError as error:
            raise BoundError(f"{place.name}: {error}") from None
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
        regions_ever=bound.regions_ever,
        bound=bound,
        timezone=read.timezone,
    )


def shown_times(times: pd.DatetimeIndex, zone: str) -> NDArray[np.bool_]:
    """Return which times a zone's clock ever shows; it skips an hour when it is put forward."""
    shown = times.tz_localize(zone, nonexistent="NaT", ambiguous=np.ones(len(times), dtype=bool))
    return np.asarray(shown.notna())


def panel_times(config: EventsConfig, start: pd.Timestamp, end: pd.Timestamp) -> pd.DatetimeIndex:
    """Return the starts of all intervals of a period.

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
    """Return the starts of the panel's intervals; with `look`, refuse impossible events."""
    inside = within(events, known.start, known.end)
    start, end = known.start, known.end
    if look:
        refuse_impossible(place, inside, config)
        first, last = check_values(place, inside, config)
        start = first.floor(config.length) if start is None else start
        end = last.floor(config.length) + config.length if end is None else end
    assert start is not None  # noqa: S101  (declared, or read off the events)
    assert end is not None  # noqa: S101
    return panel_times(config, start, end)


def _wide(
    cells: pd.DataFrame, regions: tuple[str, ...], times: pd.DatetimeIndex, seconds: int
) -> pd.DataFrame:
    """Return a table of times × regions, 0 where nobody was counted."""
    counts = np.zeros((len(times), len(regions)))
    first = times[0].value // 10**9 // seconds
    rows = cells["interval"].to_numpy(dtype=np.int64) - first
    counts[rows, cells["region"].to_numpy(dtype=np.int64)] = cells["count"].to_numpy(dtype=float)
    return pd.DataFrame(counts, times, list(regions))
