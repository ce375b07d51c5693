"""Panels from files and sources, for notebooks: read, validated, with warnings."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from data import sources
from data.nesting import Nesting
from data.panel import Panel
from data.sources import csv
from data.sources.table import Table
from data.validate import to_panel


def from_csv(
    path: str | Path,
    *,
    regions_per_interval: int | None = None,
    nested: Nesting | None = None,
    regions_ever: int | None = None,
    persons: int | None = None,
    max_gap: str = "1d",
) -> Panel:
    """Read raw counts from a CSV file, wide (time, one column per region) or long (time, region, count).

    Whatever is odd but usable is reported as Python warnings.

    Args:
        path: of the file; may be gzipped.
        regions_per_interval: M, the regions that can count one person within one interval.
        nested: regions that lie within others: names of the inner ones by the outer one.
        regions_ever: G, the regions that can count one privacy unit in all of its intervals together.
        persons: how many people can be in it.
        max_gap: the longest gap that may be repaired.

    Raises:
        DataError: the file cannot be used; the message lists what is wrong, where, and the fix.
    """
    table = csv.read(Path(path))
    declared = {
        "regions_per_interval": regions_per_interval,
        "nested": nested,
        "regions_ever": regions_ever,
        "persons": persons,
    }
    return _to_panel(replace(table, **declared), max_gap)  # type: ignore[arg-type]


def from_source(source: str, *, max_gap: str = "1d", **declared: Any) -> Panel:
    """Read raw counts from anything that `--source` takes: `synthetic`, `paris-cdr`, a path, a URL.

    Args:
        source: as `data.sources.read` takes it.
        max_gap: the longest gap that may be repaired.
        declared: further arguments of `data.sources.read`.

    Raises:
        DataError: it cannot be used.
    """
    return _to_panel(sources.read(source, **declared), max_gap)


def _to_panel(table: Table, max_gap: str) -> Panel:
    panel, findings = to_panel(table, max_gap=max_gap)
    for finding in findings:
        if finding.severity == "warning":
            warnings.warn(str(finding), stacklevel=3)
    return panel
