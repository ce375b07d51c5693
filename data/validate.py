"""Validation of tables: a panel, or the findings that prevent one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data import raw_rules, rules
from data.bound import check_regions_ever
from data.errors import BoundError, DataError
from data.findings import Finding, lines
from data.nesting import parents_of
from data.panel import Panel
from data.sources.table import Table
from data.spans import to_span

__all__ = ["Finding", "findings", "to_panel"]


def findings(table: Table, *, max_gap: str = "1d", values: bool = False) -> tuple[Finding, ...]:
    """Return all faults and oddities of a table, errors first.

    Args:
        table: counts as they came.
        max_gap: the longest gap that may be repaired later.
        values: whether the counts themselves may be read, too (`data.raw_rules`). The result is no
            private release; a run under a mechanism uses the default.
    """
    time, counts = table.frame.iloc[:, 0], table.frame.iloc[:, 1:]
    collected = [*rules.unparsed_time(time), *rules.cells(counts)]
    if not any(finding.column == "time" for finding in collected):
        observed = counts.notna().any(axis=1).to_numpy()
        collected += _about_time(pd.DatetimeIndex(time), observed, _span(max_gap))
    if not any(finding.severity == "error" for finding in collected):
        names = [str(column) for column in counts.columns]
        collected += rules.regions(names)
        if values and len(names) > 1:
            raw = counts.to_numpy(dtype=float)
            collected += raw_rules.constant_region(raw, names)
            collected += raw_rules.nested_regions(raw, names, table.regions_per_interval)
    shown = _display_names([str(column) for column in counts.columns])
    order, first = ("error", "warning", "note"), [finding.rule for finding in collected]
    collected.sort(key=lambda finding: (order.index(finding.severity), first.index(finding.rule)))
    return tuple(
        replace(finding, column=shown.get(finding.column or "", finding.column))
        for finding in collected
    )


def to_panel(
    table: Table, *, max_gap: str = "1d", short: bool = False, values: bool = False
) -> tuple[Panel, tuple[Finding, ...]]:
    """Return the panel of a table, and the findings that do not prevent it.

    Times with a zone become UTC; missing intervals become rows of NaN.

    Args:
        table: counts as they came.
        max_gap: the longest gap that may be repaired later.
        short: whether the series may be too short to train on.
        values: whether the counts themselves may be read; see `findings`.

    Raises:
        DataError: some findings are errors; the message lists them.
        BoundError: the declared number of regions of a unit does not fit the regions.
    """
    listed = findings(table, max_gap=max_gap, values=values)
    if short:
        listed = tuple(finding for finding in listed if finding.rule != "too-short")
    errors = [finding for finding in listed if finding.severity == "error"]
    if errors:
        raise DataError(
            f"{table.name} cannot be used (rows are counted below the header):\n  "
            + "\n  ".join(lines(errors))
        )
    _check_declared(table)
    counts = table.frame.set_index("time").astype(float).sort_index()
    counts = counts.dropna(how="all")  # an empty row and an absent row are the same: no observation
    zoned = pd.DatetimeIndex(counts.index).tz is not None
    counts.index = _naive(pd.DatetimeIndex(counts.index))
    counts.columns = counts.columns.astype(str)
    interval = pd.Timedelta(counts.index.to_series().diff().min())
    regular = pd.date_range(counts.index[0], counts.index[-1], freq=interval, name="time")
    panel = Panel(
        counts=counts.reindex(regular),
        source=table.name,
        public=table.public,
        persons=table.persons,
        regions_per_interval=table.regions_per_interval,
        regions_ever=table.regions_ever,
        nested=table.nested,
        bound=table.bound,
        timezone="UTC" if zoned else table.timezone,
    )
    return panel, listed


def _check_declared(table: Table) -> None:
    """Refuse declarations that do not fit the regions; they are known to fit where enforced."""
    try:
        check_regions_ever(
            table.regions_ever,
            regions=table.frame.shape[1] - 1,
            regions_per_interval=table.regions_per_interval,
        )
        parents_of(table.nested, [str(name) for name in table.frame.columns[1:]])
    except ValueError as error:
        raise BoundError(f"{table.name}: {error}") from None


def _about_time(
    times: pd.DatetimeIndex, observed: NDArray[np.bool_], max_gap: pd.Timedelta
) -> list[Finding]:
    if not observed.any():
        return list(rules.length(times[:0]))
    collected = [*rules.duplicate_time(times), *rules.unsorted_time(times), *rules.time_zone(times)]
    rows = pd.Series(np.flatnonzero(observed), times[observed]).sort_index(kind="stable")
    rows = rows[~rows.index.duplicated()]
    unique = pd.DatetimeIndex(rows.index)
    if len(unique) > 2:
        collected += [
            # positions in the table as it came
            replace(finding, rows=tuple(int(rows.iloc[row]) for row in finding.rows))
            for finding in rules.intervals(unique, max_gap)
        ]
    return [*collected, *rules.length(unique)]


def _display_names(names: list[str]) -> dict[str, str]:
    """Return places to show instead of names without letters, where other names have some.

    A header that lost its line end has counts of the first row among its names.
    """
    bare = [not any(char.isalpha() for char in name) for name in names]
    if all(bare):
        return {}
    places = zip(names, bare, range(1, len(names) + 1), strict=True)
    return {name: f"no. {place} after the time" for name, hidden, place in places if hidden}


def _naive(times: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return times if times.tz is None else times.tz_convert("UTC").tz_localize(None)


def _span(text: str) -> pd.Timedelta:
    try:
        return to_span(text)
    except ValueError as error:
        raise DataError(f"source.max_gap: {error}") from None
