"""Contributions of units: in how many intervals they have records, and what a smaller K would cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from data.bound import enforceable
from data.errors import DataError
from data.events.checks import within
from data.events.columns import events_of
from data.events.config import EventsConfig
from data.events.connect import is_synthetic, open_events
from data.events.declared import declared, require
from data.events.read import panel_times, shown_times


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
    known = declared(source, config)
    require(known, source, ("start", "end"))
    with open_events(source, query=query, parameters=parameters) as place:
        read = events_of(place, config)
        events = read.table
        assert known.start is not None  # noqa: S101  (required above)
        assert known.end is not None  # noqa: S101
        times = panel_times(config, known.start, known.end)
        observed = shown_times(times, config.timezone)
        seconds = int(config.length.total_seconds())
        try:
            bound = enforceable(
                unit,
                periods=int(observed.sum()),
                interval=config.length.to_pytimedelta(),
                regions=1,
            )
        except ValueError as error:
            raise DataError(f"{place.name}: {error}") from None
        inside = within(events, known.start, known.end)
        length, origin = bound.span or (2**40, 0)
        pairs = inside.mutate(interval=inside.time.epoch_seconds() // seconds)
        pairs = pairs.filter(pairs.interval.notnull()).select("person", "interval").distinct()
        start = ((pairs.interval * seconds - origin) // length).cast("int64")
        units = pairs.mutate(unit=start).group_by("person", "unit")
        per_person = units.agg(intervals=lambda t: t.count())
        rows = place.connection.execute(
            per_person.group_by("unit", "intervals").agg(persons=lambda t: t.count())
        )
        name = place.name
    persons = _table(rows, times, bound.slots, bound.span)
    return SeenIntervals(persons, name, is_synthetic(source), read.timezone)


def _table(
    rows: pd.DataFrame, times: pd.DatetimeIndex, slots: int, span: tuple[int, int] | None
) -> pd.DataFrame:
    if span is None:
        starts, positions = times[:1], np.zeros(len(rows), dtype=int)
    else:
        length, origin = span
        ends = [(time.value // 10**9 - origin) // length for time in (times[0], times[-1])]
        numbers = np.arange(ends[0], ends[1] + 1)
        starts = pd.DatetimeIndex(pd.to_datetime(numbers * length + origin, unit="s"), name="time")
        positions = rows["unit"].to_numpy(dtype=int) - ends[0]
    counts = np.zeros((len(starts), slots))
    intervals = rows["intervals"].to_numpy(dtype=int)
    counts[positions, intervals - 1] = rows["persons"].to_numpy(dtype=float)
    return pd.DataFrame(counts, starts, [str(number) for number in range(1, slots + 1)])
