"""Sightings: events by person and unit of the declared period, to see how often people are counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from data.bound import Bound, enforceable
from data.errors import DataError
from data.events.checks import within
from data.events.columns import events_of
from data.events.config import EventsConfig
from data.events.connect import Place, open_events
from data.events.declared import Declared, declared, require
from data.events.read import panel_times, shown_times

Expression = Any  # of Ibis, which has no types for mypy


@dataclass(frozen=True)
class Sightings:
    """Events of the declared period, and the units that they are counted in.

    Attributes:
        place: the connection, which is open.
        table: the events.
        known: what is declared about them.
        times: starts of all intervals of the panel.
        bound: of a unit that nothing is cut from.
        seconds: length of an interval.
        timezone: zone by whose clock units are defined; None if the source does not name it.
    """

    place: Place
    table: Expression
    known: Declared
    times: pd.DatetimeIndex
    bound: Bound
    seconds: int
    timezone: str | None

    def by_unit(self, *columns: str) -> Expression:
        """Return one row per person, unit and values of the columns, of which one is `interval`."""
        length, origin = self.bound.span or (2**40, 0)
        pairs = self.table.mutate(interval=self.table.time.epoch_seconds() // self.seconds)
        pairs = pairs.filter(pairs.interval.notnull()).select("person", *columns).distinct()
        start = ((pairs.interval * self.seconds - origin) // length).cast("int64")
        return pairs.mutate(unit=start)

    def spread(self, rows: pd.DataFrame, by: str, value: str, most: int) -> pd.DataFrame:
        """Return values as a table: start of the unit × 1 to `most`."""
        if self.bound.span is None:
            starts, positions = self.times[:1], np.zeros(len(rows), dtype=int)
        else:
            length, origin = self.bound.span
            ends = [(t.value // 10**9 - origin) // length for t in (self.times[0], self.times[-1])]
            numbers = np.arange(ends[0], ends[1] + 1)
            starts = pd.DatetimeIndex(
                pd.to_datetime(numbers * length + origin, unit="s"), name="time"
            )
            positions = rows["unit"].to_numpy(dtype=int) - ends[0]
        counts = np.zeros((len(starts), most))
        counts[positions, rows[by].to_numpy(dtype=int) - 1] = rows[value].to_numpy(dtype=float)
        return pd.DataFrame(counts, starts, [str(number) for number in range(1, most + 1)])


@contextmanager
def opened(
    source: str,
    config: EventsConfig,
    unit: str,
    query: str | None,
    parameters: Mapping[str, Any] | None,
    needed: tuple[str, ...],
) -> Iterator[Sightings]:
    """Open the events of the declared period.

    Args:
        source: as for `read_events`.
        config: columns and clock.
        unit: `user`, `user-week` or `user-day`.
        query: instead of a table.
        parameters: of the query.
        needed: what must be declared, of `regions`, `start` and `end`; the latter two always.

    Raises:
        DataError: something is not declared, the unit has no bound, or the events cannot be used.
    """
    known = declared(source, config)
    require(known, source, needed)
    with open_events(source, query=query, parameters=parameters) as place:
        read = events_of(place, config)
        assert known.start is not None  # noqa: S101  (required above)
        assert known.end is not None  # noqa: S101
        times = panel_times(config, known.start, known.end)
        observed = shown_times(times, config.timezone)
        try:
            bound = enforceable(
                unit,
                periods=int(observed.sum()),
                interval=config.length.to_pytimedelta(),
                regions=1,
            )
        except ValueError as error:
            raise DataError(f"{place.name}: {error}") from None
        inside = within(read.table, known.start, known.end)
        seconds = int(config.length.total_seconds())
        yield Sightings(place, inside, known, times, bound, seconds, read.timezone)
