"""Counts that have come since the last release, as they are in the source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from data import rules, sources, validate
from data.errors import DataError
from data.findings import Finding
from data.sources import Table
from data.sources.credentials import shown
from flows.recipe.sections import SourceConfig


@dataclass(frozen=True)
class Arrivals:
    """Raw counts of intervals that were not released yet.

    Attributes:
        counts: regular in time, times × regions; rows of NaN where not observed; may be empty.
        interval: length of one.
        persons: how many people can be in the data, where declared.
        regions_per_interval: M, where declared.
        source: what the user called it.
        timezone: zone by whose clock the times are told; None where the source does not say.
    """

    counts: pd.DataFrame
    interval: pd.Timedelta
    persons: int | None
    regions_per_interval: int | None
    source: str
    timezone: str | None = None


def first(source: SourceConfig) -> Arrivals:
    """Everything there is, validated as for a training.

    Raises:
        DataError: it cannot be used.
    """
    table = _complete(_read(source))
    panel, _ = validate.to_panel(table, max_gap=source.max_gap)
    return Arrivals(
        panel.counts,
        panel.interval,
        table.persons,
        table.regions_per_interval,
        table.name,
        panel.timezone,
    )


def since(
    source: SourceConfig, after: pd.Timestamp, interval: pd.Timedelta, regions: tuple[str, ...]
) -> Arrivals:
    """What starts at or after the end of what was released.

    An interval that has not come whole is left for the next time, and one that comes after a later
    one was released is not looked at any more.

    Args:
        source: of the stream.
        after: end of the last released interval, by the panel's clock.
        interval: of the stream.
        regions: of the stream, in order.

    Raises:
        DataError: other regions, or times between the stream's.
    """
    table = _complete(_read(source, after))
    frame = table.frame
    about: tuple[Any, ...] = (
        interval,
        table.persons,
        table.regions_per_interval,
        table.name,
        table.timezone,
    )
    if frame.empty:
        empty = pd.DataFrame(columns=list(regions), index=pd.DatetimeIndex([], name="time"))
        return Arrivals(empty.astype(float), *about)
    _check(table, rules.unparsed_time(frame["time"]))
    times = pd.DatetimeIndex(frame["time"])
    if times.tz is not None:
        times = times.tz_convert("UTC").tz_localize(None)
        about = (*about[:-1], "UTC")
    counts = frame.drop(columns="time").set_axis(times)[times >= after]
    counts.columns = counts.columns.astype(str)
    if counts.empty:
        empty = pd.DataFrame(columns=list(regions), index=pd.DatetimeIndex([], name="time"))
        return Arrivals(empty.astype(float), *about)
    if set(counts.columns) != set(regions):
        raise DataError(
            f"{table.name} now has {len(counts.columns)} regions, the stream has {len(regions)}, not "
            "the same ones; keep the columns, or start another stream (stream.name)"
        )
    _check(table, rules.cells(counts.dropna(how="all").reset_index(drop=True)))
    _check(table, rules.duplicate_time(pd.DatetimeIndex(counts.index)))
    counts = counts.sort_index()
    if ((pd.DatetimeIndex(counts.index) - after) % interval).any():
        raise DataError(
            f"{table.name} has times that are not on the stream's grid of "
            f"{interval.total_seconds() / 60:g} minutes; bring one row an interval"
        )
    regular = pd.date_range(after, counts.index[-1], freq=interval, name="time")
    return Arrivals(counts[list(regions)].astype(float).reindex(regular), *about)


def _read(source: SourceConfig, after: pd.Timestamp | None = None) -> Table:
    try:
        return sources.read(
            source.name,
            regions_per_interval=source.regions_per_interval,
            persons=source.persons,
            since=after,
        )
    except DataError:
        raise
    except Exception as error:
        # The text of a foreign error may quote a count, and Prefect stores it.
        kind = type(error).__name__
        raise DataError(f"{shown(source.name)}: cannot be read ({kind})") from None


def _complete(table: Table) -> Table:
    """The table without a last interval that is still being written."""
    frame = table.frame
    if frame.empty:
        return table
    last = frame["time"] == frame["time"].max()
    if frame.loc[last].isna().to_numpy().any():
        frame = frame[~last]
    return replace(table, frame=frame)


def _check(table: Table, found: Iterable[Finding]) -> None:
    errors = [str(one) for one in found if one.severity == "error"]
    if errors:
        raise DataError(f"{table.name} cannot be used:\n  " + "\n  ".join(errors))
