"""Wide form of raw tables: the time column is found, and long tables are pivoted."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pandas as pd

from data.errors import DataError

Column = Any  # pandas' stubs need the type of the cells, which is not known yet

TIME_NAMES = ("time", "timestamp", "datetime", "date_time", "date", "interval", "period", "ds", "t")
REGION_NAMES = ("region", "zone", "area", "place", "location", "cell", "station", "unique_id")
COUNT_NAMES = ("count", "counts", "value", "n", "persons", "people", "users", "y")


def to_wide(raw: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return one `time` column and one column per region.

    Long tables (time, region, count) are pivoted; a region without a row for an interval is missing
    there, not 0. A (time, region) pair that occurs twice gives two rows of that time, which validation
    reports.

    Raises:
        DataError: no time column, nothing but one, or a name that holds lines of the table.
    """
    raw = raw.rename(columns=lambda column: str(column).strip())
    if any("\n" in column or "\r" in column for column in raw.columns):
        # such a name holds rows of the table, and names are shown
        raise DataError(
            f"{name}: the name of a column goes over several lines; close the quotes in the header"
        )
    time, columns = _time(raw, name)
    rest = raw.drop(columns=columns)
    region = _first_named(rest, REGION_NAMES)
    count = _first_named(rest, COUNT_NAMES)
    if region and count and len(rest.columns) == 2:
        if rest[region].astype(str).str.contains("[\n\r]", regex=True).any():
            raise DataError(
                f"{name}: a name in column {region!r} goes over several lines; close its quotes"
            )
        numbers = pd.to_numeric(rest[region], errors="coerce").notna()
        if numbers.any() and not numbers.all():
            # a count in the place of the region would be shown as a name
            raise DataError(
                f"{name}: column {region!r} holds numbers in {int(numbers.sum())} of {len(rest)} rows "
                "and names in the others; correct rows that lack a field, or give all regions names"
            )
        empty = rest[count].isna()
        lost = int((empty & ~rest[region].isin(rest[region][~empty])).sum())
        if lost:
            # a count merged into the region's name would be shown with it
            raise DataError(
                f"{name}: {lost} of {len(rest)} rows name a region in column {region!r} that has no "
                "count anywhere; correct rows that lack a separator, or leave the region out"
            )
        return _pivot(pd.DataFrame({"time": time, "region": rest[region], "count": rest[count]}))
    if rest.columns.empty:
        raise DataError(
            f"{name}: the time column {columns[0]!r} is the only column; bring one column per region, "
            "or three columns time, region, count"
        )
    wide: pd.DataFrame = pd.concat([time.rename("time"), rest], axis=1)
    return wide


def mask_numbers(header: str) -> str:
    """Mask the numbers in a piece of a header, which are counts where the header is missing."""
    return re.sub(r"\d+", "#", header)


def _time(raw: pd.DataFrame, name: str) -> tuple[Column, list[str]]:
    """Return the times, parsed where possible, and the columns they come from."""
    lower = {column.lower(): column for column in raw.columns}
    if "date" in lower and "hour" in lower:
        columns = [lower["date"], lower["hour"]]
        return _parse(raw[columns[0]].astype(str) + " " + raw[columns[1]].astype(str)), columns
    column = _first_named(raw, TIME_NAMES)
    if column is None:
        shown = ", ".join(repr(mask_numbers(header)) for header in list(raw.columns)[:8])
        hint = f"name it one of {', '.join(TIME_NAMES)}"
        if not any(char.isalpha() for header in raw.columns for char in header.replace("T", "")):
            hint = "this looks like a row of counts: begin with a header line, say time,north,south"
        raise DataError(f"{name}: no time column among {shown}; {hint}")
    return _parse(raw[column]), [column]


def _parse(time: Column) -> Column:
    """Parse times to datetime64 if all can be parsed, else return them as they are."""
    if pd.api.types.is_datetime64_any_dtype(time):
        return time
    if pd.api.types.is_numeric_dtype(time):
        return time.astype(object)  # a bare number names no moment; validation says so
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for options in ({}, {"utc": True}):
            try:
                parsed = pd.to_datetime(time, errors="coerce", **options)  # type: ignore[call-overload]
            except ValueError:  # offsets that change, as over a night of clock change: UTC next
                continue
            if pd.api.types.is_datetime64_any_dtype(parsed) and not parsed.isna().any():
                return parsed
    return time.astype(object)


def _pivot(long: pd.DataFrame) -> pd.DataFrame:
    """Pivot long to wide; the k-th repetition of a (time, region) pair goes to a k-th row."""
    repetition = long.groupby(["time", "region"], sort=False, dropna=False).cumcount()
    wide: pd.DataFrame = (
        long.assign(repetition=repetition)
        .pivot(index=["time", "repetition"], columns="region", values="count")
        .reset_index()
        .drop(columns="repetition")
    )
    wide.columns = pd.Index([str(column) for column in wide.columns])
    return wide


def _first_named(frame: pd.DataFrame, names: tuple[str, ...]) -> str | None:
    """Return the first column whose lower-case name is one of `names`, in the order of `names`."""
    lower = {str(column).lower(): str(column) for column in frame.columns}
    return next((lower[name] for name in names if name in lower), None)
