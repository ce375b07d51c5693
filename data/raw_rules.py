"""Rules that read the counts themselves, for `veilcast check` and for runs without a mechanism.

Each finding is an exact predicate of raw counts, which one person can make true or false. In a private
run it would be published outside of any epsilon; `data.validate` omits these rules by default.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from data.findings import Finding


def constant_region(counts: NDArray[np.float64], names: list[str]) -> Iterator[Finding]:
    """Find regions that never change."""
    for name, values in zip(names, counts.T, strict=True):
        if np.nanmin(values) == np.nanmax(values):
            yield Finding(
                "constant-region",
                "warning",
                "has the same count in every interval",
                "leave it out: there is nothing to forecast",
                name,
            )


def nested_regions(
    counts: NDArray[np.float64], names: list[str], declared: int | None
) -> Iterator[Finding]:
    """Find regions that may contain all others."""
    others = counts.sum(axis=1, keepdims=True) - counts
    holds = np.all((counts >= others) | np.isnan(counts), axis=0)
    for column in np.flatnonzero(holds & (np.nanmax(counts, axis=0) > 0)):
        known = declared is not None and declared >= 2
        yield Finding(
            "nested-regions",
            "note" if known else "warning",
            "is at least the sum of all other regions in every interval: it may contain them, and a "
            "person may be counted in two regions at once (M of at least 2)",
            f"none needed: {declared} regions per interval are declared"
            if known
            else "leave it out, or declare source.regions_per_interval=2 (undeclared, all count)",
            names[column],
        )
