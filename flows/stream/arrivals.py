"""Arrivals: raw counts of a stream's source since the last release."""

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
        interval: length of an interval.
        persons: how many people can be in the data, where declared.
        regions_per_interval: M, where declared.
        source: name that the user gave the source.
        timezone: zone whose clock the times follow; None if the source does not say.
    """

    counts: pd.DataFrame
    interval: pd.Timedelta
    persons: int | None
    regions_per_interval: int | None
    source: str
    timezone: str | None = None


def first(source: SourceConfig) -> Arrivals:
    """Read all counts of the source, validated as for a training.

    Raises:
        DataError: the source cannot be used.
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
    """Read the intervals that start at or after the end of the last release.

    A last interval that is incomplete waits for the next call. An interval that arrives after a later
    one was released is never read.

    Args:
        source: source of the stream.
        after: end of the last released interval, by the panel's clock.
        interval: interval of the stream.
        regions: regions of the stream, in order.

    Raises:
        DataError: other regions, or times that are not on the stream's grid.
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
    _refuse_errors(table, rules.unparsed_time(frame["time"]))
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
    _refuse_errors(table, rules.cells(counts.dropna(how="all").reset_index(drop=True)))
    _refuse_errors(table, rules.duplicate_time(pd.DatetimeIndex(counts.index)))
    counts = counts.sort_index()
    if ((pd.DatetimeIndex(counts.index) - after) % interval).any():
        raise DataError(
            f"{table.name} has times that are not on the stream's grid of "
            f"{interval.total_seconds() / 60:g} minutes; bring one row per interval"
        )
    regular = pd.date_range(after, counts.index[-1], freq=interval, name="time")
    return Arrivals(counts[list(regions)].astype(float).reindex(regular), *about)


def _read(source: SourceConfig, after: pd.Timestamp | None = None) -> Table:
    try:
        return sources.read(
            source.name,
            regions_per_interval=source.regions_per_interval,
            regions_ever=source.regions_ever,
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
    """Return the table without a last interval that is still being written."""
    frame = table.frame
    if frame.empty:
        return table
    last = frame["time"] == frame["time"].max()
    if frame.loc[last].isna().to_numpy().any():
        frame = frame[~last]
    return replace(table, frame=frame)


def _refuse_errors(table: Table, findings: Iterable[Finding]) -> None:
    errors = [str(finding) for finding in findings if finding.severity == "error"]
    if errors:
        raise DataError(f"{table.name} cannot be used:\n  " + "\n  ".join(errors))
