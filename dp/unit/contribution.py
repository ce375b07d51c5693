"""Contribution bounds: how much the records of one privacy unit can change a panel of counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from dp.unit.privacy_unit import PrivacyUnit, crosses_borders, intervals_of


@dataclass(frozen=True)
class ContributionBound:
    """The most that the records of one privacy unit can change a panel of counts.

    A unit is counted in at most `intervals` intervals, in at most `regions` regions within one
    interval, and adds at most `weight` to a count, so that two neighbouring panels differ in at most
    `intervals` × `regions` counts by at most `weight` each.

    Attributes:
        intervals: K.
        regions: M.
        weight: w_max, in persons; whole, because the noise is.

    Example:
        >>> bound = ContributionBound(intervals=48, regions=2)
        >>> bound.cells, round(bound.sensitivity, 3)
        (96, 9.798)
    """

    intervals: int
    regions: int
    weight: int = 1

    def __post_init__(self) -> None:
        for name in ("intervals", "regions", "weight"):
            value = getattr(self, name)
            if value < 1 or value != int(value):
                raise ValueError(f"expected {name}={value} to be a whole number of at least 1")

    @property
    def cells(self) -> int:
        """M·K, the counts that one unit can change."""
        return self.intervals * self.regions

    @property
    def sensitivity(self) -> float:
        """L2 sensitivity Δ₂ = w_max·√(M·K), in persons."""
        return self.weight * math.sqrt(self.cells)


def derive_bound(
    unit: PrivacyUnit,
    *,
    observed: int,
    interval: timedelta,
    regions: int,
    regions_per_interval: int | None = None,
    intervals_per_unit: int | None = None,
    weight: int = 1,
    start: datetime | None = None,
) -> tuple[ContributionBound, tuple[str, ...]]:
    """Return the contribution bound of a panel and the reason for each of its numbers.

    Nothing here is read from the counts: K and M come from the calendar and from what the operator
    declares (and enforces when counting). An undeclared bound is the worst case. A day or
    week has records in every interval that it touches, those across its borders included.

    Args:
        unit: the privacy unit.
        observed: number of observed intervals in the panel.
        interval: length of one interval.
        regions: number of regions in the panel.
        regions_per_interval: M, if declared.
        intervals_per_unit: K, if declared.
        weight: w_max, the most that one person adds to one count.
        start: of any interval, by the panel's clock. Without it intervals may lie across the borders
            of days and weeks, which costs one more.

    Raises:
        ValueError: a declared bound does not fit the panel.

    Example:
        >>> from datetime import datetime
        >>> bound, reasons = derive_bound(
        ...     PrivacyUnit.USER_DAY,
        ...     observed=3456,
        ...     interval=timedelta(minutes=30),
        ...     regions=6,
        ...     regions_per_interval=2,
        ...     start=datetime(2020, 8, 24),
        ... )
        >>> bound
        ContributionBound(intervals=48, regions=2, weight=1)
        >>> reasons[0]
        'K = 48 intervals: all intervals of 30 minutes that touch the day'
    """
    intervals = intervals_of(unit, observed=observed, interval=interval, start=start)
    if unit is PrivacyUnit.USER:
        why = f"every one of the {observed} observed intervals"
    elif unit.span is None:
        why = "a single interval"
    else:
        why = f"all intervals of {_minutes(interval)} that touch the {unit.value[5:]}"
        if crosses_borders(unit, interval=interval, start=start):
            why += ", one of them across its border"
    if intervals_per_unit is not None and intervals_per_unit < intervals:
        intervals, why = intervals_per_unit, "declared by the operator"
    reasons = [f"K = {intervals} intervals: {why}"]
    if regions_per_interval is None:
        reasons.append(f"M = {regions} regions: nobody declared a bound, so all of them")
    elif regions_per_interval > regions:
        raise ValueError(
            f"expected regions_per_interval={regions_per_interval} ≤ {regions} regions; declare in how "
            "many of them one person can be counted within one interval"
        )
    else:
        reasons.append(f"M = {regions_per_interval} regions in one interval: declared")
    reasons.append(f"w_max = {weight}: the most that one person adds to one count")
    return ContributionBound(intervals, regions_per_interval or regions, weight), tuple(reasons)


def enforced_bound(
    *, intervals: int, slots: int, regions: int, weight: int, runs_per_day: int | None = None
) -> tuple[ContributionBound, tuple[str, ...]]:
    """Return the bound that was enforced in counting events, and the reason for each of its numbers.

    Args:
        intervals: K.
        slots: intervals that a unit has at all.
        regions: M.
        weight: w_max.
        runs_per_day: r, if it was enforced.
    """
    reasons: tuple[str, ...] = (
        f"K = {intervals} of {slots} intervals of a unit: enforced when counting, the others "
        "are not in the counts",
        f"M = {regions} regions in one interval: enforced when counting",
        f"w_max = {weight}: enforced when counting",
    )
    if runs_per_day is not None:
        reasons += (
            f"r = {runs_per_day} runs of consecutive intervals in one region on one day: enforced when "
            "counting, by whole runs; the others are not in the counts",
        )
    return ContributionBound(intervals, regions, weight), reasons


def _minutes(interval: timedelta) -> str:
    return f"{interval.total_seconds() / 60:g} minutes"
