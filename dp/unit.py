"""The privacy unit: whom the promise is about, and how much one of them can change a panel."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class PrivacyUnit(StrEnum):
    """What one neighbouring data set may change: records of one person are added or removed."""

    USER = "user"
    USER_WEEK = "user-week"
    USER_DAY = "user-day"
    USER_INTERVAL = "user-interval"

    @property
    def protects(self) -> str:
        """The unit in words, to be read after "the records of"."""
        return {
            PrivacyUnit.USER: "one person over the whole panel",
            PrivacyUnit.USER_WEEK: "one person in one calendar week",
            PrivacyUnit.USER_DAY: "one person on one calendar day",
            PrivacyUnit.USER_INTERVAL: "one person in one interval",
        }[self]

    @property
    def neighbours(self) -> str:
        """The neighbouring relation in words."""
        return NEIGHBOURS

    @property
    def span(self) -> timedelta | None:
        """Length of the calendar day or week; None for the whole panel or a single interval."""
        return {
            PrivacyUnit.USER_WEEK: timedelta(weeks=1),
            PrivacyUnit.USER_DAY: timedelta(days=1),
        }.get(self)


MONDAY = datetime(1970, 1, 5)
"""A border of calendar weeks, and so of days."""

_TICK = timedelta(microseconds=1)

NEIGHBOURS = "add or remove the records of one unit"


@dataclass(frozen=True)
class IntervalUnit:
    """`interval-w`: all counts of w consecutive intervals, changed arbitrarily; for training alone.

    It covers whatever any number of people did within these intervals, each of them included.

    Attributes:
        width: w, at least 1.
    """

    width: int

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"expected the width of unit interval-{self.width} to be at least 1")

    @property
    def value(self) -> str:
        """The unit's name."""
        return f"interval-{self.width}"

    @property
    def protects(self) -> str:
        """The unit in words, to be read after "the records of"."""
        if self.width == 1:
            return "everybody in one interval"
        return f"everybody in {self.width} consecutive intervals"

    @property
    def neighbours(self) -> str:
        """The neighbouring relation in words."""
        return "change all values of one unit"


Unit = PrivacyUnit | IntervalUnit


def parse_unit(name: str) -> Unit:
    """The unit called `name`: one of `PrivacyUnit`, or `interval-w` with a number for w.

    Raises:
        ValueError: unknown name; the message lists what there is.
    """
    found = re.fullmatch(r"interval-([0-9]{1,9})", name)
    if found:
        return IntervalUnit(int(found[1]))
    try:
        return PrivacyUnit(name)
    except ValueError:
        known = ", ".join(unit.value for unit in PrivacyUnit)
        raise ValueError(
            f"unit={name!r} is unknown; choose one of {known}, or interval-1, interval-2, ... "
            "(training by gradient perturbation only)"
        ) from None


@dataclass(frozen=True)
class ContributionBound:
    """How much the records of one privacy unit can change a panel of counts.

    A unit is counted in at most `intervals` intervals, in at most `regions` regions within one
    interval, and adds at most `weight` to a count, so that two neighbouring panels differ in at most
    `intervals` × `regions` counts by at most `weight` each.

    Attributes:
        intervals: K.
        regions: M.
        weight: w_max, in persons; whole, because the noise is.
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


def touched_intervals(span: timedelta, interval: timedelta, offset: timedelta | None = None) -> int:
    """The most intervals that a stretch of time of length `span` can touch.

    Stretches and intervals repeat without gaps, so that an interval across the border of two stretches
    belongs to both.

    Args:
        span: length of a stretch.
        interval: length of an interval.
        offset: from the start of any stretch to the start of any interval; by default the worst.
    """
    length, whole = interval // _TICK, span // _TICK
    step = math.gcd(length, whole)
    # where in its interval a stretch can start: step apart, beginning with -offset modulo step
    first = step - 1 if offset is None else -(offset // _TICK) % step
    return -((length - step + first + whole) // -length)


def intervals_of(
    unit: Unit, *, observed: int, interval: timedelta, start: datetime | None = None
) -> int:
    """The most intervals of a panel in which one privacy unit can have records.

    Args:
        unit: the privacy unit.
        observed: number of intervals in the panel.
        interval: length of one.
        start: of any of them, by the clock that days and weeks are counted by; by default the worst.
    """
    if isinstance(unit, IntervalUnit):
        return min(observed, unit.width)
    if unit is PrivacyUnit.USER:
        return observed
    if unit.span is None:
        return min(observed, 1)
    offset = None if start is None else start.replace(tzinfo=None) - MONDAY
    return min(observed, touched_intervals(unit.span, interval, offset))


def crosses_borders(unit: Unit, *, interval: timedelta, start: datetime | None) -> bool:
    """Whether an interval can lie across the border of two calendar days or weeks."""
    if not isinstance(unit, PrivacyUnit) or unit.span is None:
        return False
    if start is None:
        return True
    length, span = interval // _TICK, unit.span // _TICK
    step = math.gcd(length, span)
    return step < min(length, span) or bool((start.replace(tzinfo=None) - MONDAY) // _TICK % step)


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
    """The contribution bound of a panel, and the reason for each of its numbers.

    Nothing here is read from the counts: K and M come from the calendar and from what the operator
    declares (and enforces when counting). What nobody declares is taken to be the worst case. A day or
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
    *, intervals: int, slots: int, regions: int, weight: int
) -> tuple[ContributionBound, tuple[str, ...]]:
    """The contribution bound that was enforced when events were counted, in its own words.

    Args:
        intervals: K.
        slots: intervals that a unit has at all.
        regions: M.
        weight: w_max.
    """
    reasons = (
        f"K = {intervals} of {slots} intervals of a unit: enforced when counting, the others "
        "are not in the counts",
        f"M = {regions} regions in one interval: enforced when counting",
        f"w_max = {weight}: enforced when counting",
    )
    return ContributionBound(intervals, regions, weight), reasons


def _minutes(interval: timedelta) -> str:
    return f"{interval.total_seconds() / 60:g} minutes"
