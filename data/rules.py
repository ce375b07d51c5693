"""Rules for tables of counts, one function each.

Cell rules are pandera checks; rules about time and about the panel as a whole are our own. No rule
quotes a count, or depends on its value beyond whether it is a count at all (`data.raw_rules` has the
rules that do). No rule changes the privacy accounting: M in particular is declared by the operator,
never derived from the data, since a bound derived from the data would be a release of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from data.findings import Finding, first_rows
from data.spans import WEEK

if TYPE_CHECKING:
    import pandera.pandas as pa

Column = Any  # a pandas series with unchecked cells

_YEARS = (1900, 2200)
"""Years in which mobility is counted; differences of times far outside of them overflow."""

_CELL_RULES = {
    "text-in-count": ("is not a number in {n} rows", "correct or remove these cells"),
    "nan-count": (
        "is empty or not a number in {n} rows that have other counts",
        "fill in the counts (0 where nobody was), or leave the whole interval out",
    ),
    "infinite-count": ("is infinite in {n} rows", "correct these cells"),
    "negative-count": (
        "is negative in {n} rows",
        "counts of persons start at 0; correct the source",
    ),
    "non-integer-count": (
        "is not a whole number in {n} rows",
        "bring counts of persons, not rates, shares or averages",
    ),
}


def cells(counts: pd.DataFrame) -> Iterator[Finding]:
    """Find cells that are no counts of persons."""
    if _all_counts(counts):
        return  # fast path; schemas for a thousand columns take minutes
    import pandera.pandas as pa

    empty = counts.isna().all(axis=1)
    for column in counts.columns:
        some = counts.loc[~empty, [column]]
        if some.notna().to_numpy().all() and _all_counts(some):
            continue
        try:
            _column_schema(str(column), empty).validate(counts[[column]], lazy=True)
        except pa.errors.SchemaErrors as errors:
            yield from map(
                _with_commas(counts[column]), _cell_findings(str(column), errors.failure_cases)
            )


_COMMAS = re.compile(r"\s*-?\d[\d.]*(,\d+)+(\.\d+)?\s*")
"""Numbers with commas."""


def _with_commas(cells: Column) -> Callable[[Finding], Finding]:
    """Return a function that improves the fix for text that is numbers with commas."""
    # cell by cell: a database may hold bytes that are no text, which pandas cannot turn into numbers
    commas = any(_COMMAS.fullmatch(str(cell)) for cell in cells.dropna())

    def improved(finding: Finding) -> Finding:
        if finding.rule != "text-in-count" or not commas:
            return finding
        fix = "write whole numbers without commas or points: 1234, not 1,234 or 1234,0"
        return replace(finding, fix=fix)

    return improved


def _all_counts(counts: pd.DataFrame) -> bool:
    """Return whether all cells are whole numbers from 0 on, except in completely empty rows."""
    kinds = list(counts.dtypes)
    if not all(isinstance(kind, np.dtype) and kind.kind in "iuf" for kind in kinds):
        return False
    values = counts.to_numpy(dtype=float)
    observed = values[~np.isnan(values).all(axis=1)]
    finite = bool(np.isfinite(observed).all())
    return finite and bool((observed >= 0).all()) and bool((observed == np.rint(observed)).all())


def _column_schema(column: str, empty: Column) -> pa.DataFrameSchema:
    """Return the schema of a column of counts; completely empty rows are missing intervals."""
    import pandera.pandas as pa

    def number(cells: Column) -> Column:
        if cells.dtype.kind in "mM":  # times and durations are no counts
            return pd.Series(np.nan, cells.index)
        numbers: Column = pd.to_numeric(cells, errors="coerce")
        return numbers.astype(float)

    def check(name: str, holds: Callable[[Column], Column]) -> pa.Check:
        return pa.Check(holds, name=name, error=name, ignore_na=False)

    return pa.DataFrameSchema(
        {
            column: pa.Column(
                nullable=True,
                checks=[
                    check("text-in-count", lambda cells: number(cells).notna() | cells.isna()),
                    check("nan-count", lambda cells: cells.notna() | empty),
                    check("infinite-count", lambda cells: ~np.isinf(number(cells))),
                    check("negative-count", lambda cells: ~(number(cells) < 0)),
                    check("non-integer-count", lambda cells: ~_fraction(number(cells))),
                ],
            )
        }
    )


def _fraction(numbers: Column) -> Column:
    return np.isfinite(numbers) & (numbers != numbers.round())


def _cell_findings(column: str, cases: pd.DataFrame) -> Iterator[Finding]:
    for rule, (message, fix) in _CELL_RULES.items():
        rows = sorted({int(row) for row in cases.loc[cases["check"] == rule, "index"]})
        if rows:
            yield Finding(
                rule, "error", message.format(n=len(rows)), fix, column, tuple(rows[:5]), len(rows)
            )


def unparsed_time(time: Column) -> Iterator[Finding]:
    """Find times that cannot be parsed."""
    if pd.api.types.is_datetime64_any_dtype(time):
        bad = ~time.dt.year.between(*_YEARS).to_numpy()
    elif pd.api.types.is_numeric_dtype(time.infer_objects()):
        bad = np.ones(len(time), dtype=bool)
    else:
        parsed: Column = pd.to_datetime(time, errors="coerce", format="mixed", utc=True)
        bad = parsed.isna().to_numpy()
        bad = bad if bad.any() else np.ones(len(time), dtype=bool)
    if bad.any():
        rows, count = first_rows(bad)
        yield Finding(
            "unparsed-time",
            "error",
            f"{count} of {len(time)} rows hold no date and time of the years {_YEARS[0]} to {_YEARS[1]}",
            "write times as 2024-01-31 13:30:00, all in one form",
            "time",
            rows,
            count,
        )


def duplicate_time(times: pd.DatetimeIndex) -> Iterator[Finding]:
    """Find intervals that occur twice."""
    twice = np.asarray(times.duplicated())
    if twice.any():
        rows, count = first_rows(twice)
        fix = "keep one row per interval"
        nights = times[twice]
        sunday = set(nights.day_of_week) == {6} and set(nights.month) <= {3, 4, 9, 10, 11}
        if times.tz is None and sunday and set(nights.hour) <= {0, 1, 2, 3}:
            fix += (
                "; if this is the night the clocks go back, write times in UTC or with their offset"
            )
        yield Finding(
            "duplicate-time",
            "error",
            f"{count} rows repeat a time, first {times[twice][0]}",
            fix,
            "time",
            rows,
            count,
        )


def unsorted_time(times: pd.DatetimeIndex) -> Iterator[Finding]:
    """Find rows out of order."""
    back = np.diff(times.asi8, prepend=times.asi8[0]) < 0
    if back.any():
        rows, count = first_rows(back)
        yield Finding(
            "unsorted-time",
            "note",
            "rows are out of order and will be sorted",
            "none needed",
            "time",
            rows,
            count,
        )


def time_zone(times: pd.DatetimeIndex) -> Iterator[Finding]:
    """Find times with a zone, or a wall clock that skips an hour in spring."""
    if times.tz is not None:
        yield Finding(
            "time-zone",
            "note",
            f"times carry the zone {times.tz} and become UTC",
            "none needed; days and weeks are counted in UTC from here",
            "time",
        )
        return
    ordered = times.sort_values()
    steps = ordered[1:] - ordered[:-1]
    before = ordered[:-1]
    spring = (
        (steps == steps.min() + pd.Timedelta("1h"))
        & (before.day_of_week == 6)
        & before.month.isin([3, 4])
        & (before.hour <= 3)
    )
    if len(steps) and np.any(spring):
        rows, count = first_rows(np.asarray(spring))
        yield Finding(
            "dst",
            "warning",
            f"an hour is absent after {before[np.asarray(spring)][0]}, as when clocks go forward",
            "write times in UTC, so that intervals are equally long",
            "time",
            rows,
            count,
        )


def intervals(times: pd.DatetimeIndex, max_gap: pd.Timedelta) -> Iterator[Finding]:
    """Find two interval lengths in one table, and gaps; `times` are sorted and unique."""
    steps = times.to_series().diff().to_numpy()[1:]
    lengths, counts = np.unique(steps, return_counts=True)
    usual = lengths[np.argmax(counts)]
    odd = (steps % usual) != np.timedelta64(0)
    # A permanent change, say from half-hours to hours, is no series of gaps either.
    other = lengths[(counts > 0.1 * counts.sum()) & (lengths != usual)]
    if odd.any() or len(other):
        rows, count = first_rows(odd if odd.any() else steps == other[0])
        yield Finding(
            "mixed-intervals",
            "error",
            f"most rows are {_minutes(usual)} apart, {count} are not a multiple of it or change to "
            "another length",
            "bring one interval length, or split the file",
            "time",
            rows,
            count,
        )
        return
    gaps = steps > usual
    if not gaps.any():
        return
    rows, _ = first_rows(gaps)
    missing = int((steps[gaps] / usual).sum() - gaps.sum())
    longest = pd.Timedelta(steps.max() - usual)
    first = times[:-1][gaps][0] + pd.Timedelta(usual)
    summary = f"{missing} intervals are missing in {gaps.sum()} gaps, first at {first}"
    if longest > max_gap:
        yield Finding(
            "missing-intervals",
            "error",
            f"{summary}, the longest {longest}, above {max_gap}",
            "cut the series at the gap, bring the missing rows, or raise source.max_gap",
            "time",
            rows,
            missing,
        )
    else:
        yield Finding(
            "missing-intervals",
            "warning",
            summary,
            "none needed: filled from the same time a week before, after the noise",
            "time",
            rows,
            missing,
        )


def length(times: pd.DatetimeIndex) -> Iterator[Finding]:
    """Find series too short to learn a weekly rhythm and to test on a week."""
    if not len(times):
        yield Finding(
            "no-counts", "error", "no row holds a count", "bring one row per interval", "time"
        )
        return
    weeks = (times[-1] - times[0]) / WEEK
    if weeks < 5:
        severe = weeks < 3
        yield Finding(
            "too-short",
            "error" if severe else "warning",
            f"the series is {weeks:.1f} weeks long",
            "bring at least 3 weeks (better 5): one before the training period, one to train on and "
            "one to test on",
            "time",
        )


def regions(names: list[str]) -> Iterator[Finding]:
    """Find tables with too few regions."""
    if len(names) < 2:
        yield Finding(
            "one-region",
            "error",
            f"there is only one region, {names[0]!r}",
            "bring one column for each of two or more regions (is the separator right?)",
            names[0],
        )


def _minutes(length: np.timedelta64) -> str:
    return f"{length / np.timedelta64(1, 'm'):g} minutes"
