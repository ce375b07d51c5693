"""Privacy units: whom a guarantee protects, and in how many intervals one of them can have records."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class PrivacyUnit(StrEnum):
    """Units of persons: neighbouring data sets differ by the records of one of them."""

    USER = "user"
    USER_WEEK = "user-week"
    USER_DAY = "user-day"
    USER_INTERVAL = "user-interval"

    @property
    def protects(self) -> str:
        """Description of the unit, to be read after "the records of"."""
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
    """`interval-w`: all counts of w consecutive intervals, changed arbitrarily; for training only.

    It covers everything that any number of persons did within these intervals.

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
        """Description of the unit, to be read after "the records of"."""
        if self.width == 1:
            return "everybody in one interval"
        return f"everybody in {self.width} consecutive intervals"

    @property
    def neighbours(self) -> str:
        """The neighbouring relation in words."""
        return "change all values of one unit"


Unit = PrivacyUnit | IntervalUnit


def parse_unit(name: str) -> Unit:
    """Return the unit called `name`: one of `PrivacyUnit`, or `interval-w` with a number for w.

    Raises:
        ValueError: unknown name; the message lists the known ones.

    Example:
        >>> parse_unit("user-day")
        <PrivacyUnit.USER_DAY: 'user-day'>
        >>> parse_unit("interval-3").protects
        'everybody in 3 consecutive intervals'
    """
    match = re.fullmatch(r"interval-([0-9]{1,9})", name)
    if match:
        return IntervalUnit(int(match[1]))
    try:
        return PrivacyUnit(name)
    except ValueError:
        known = ", ".join(unit.value for unit in PrivacyUnit)
        raise ValueError(
            f"unit={name!r} is unknown; choose one of {known}, or interval-1, interval-2, ... "
            "(training by gradient perturbation only)"
        ) from None


def touched_intervals(span: timedelta, interval: timedelta, offset: timedelta | None = None) -> int:
    """Return the most intervals that a stretch of time of length `span` can touch.

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
    """Return the most intervals of a panel in which one privacy unit can have records.

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
    """Return whether an interval can lie across the border of two calendar days or weeks."""
    if not isinstance(unit, PrivacyUnit) or unit.span is None:
        return False
    if start is None:
        return True
    length, span = interval // _TICK, unit.span // _TICK
    step = math.gcd(length, span)
    return step < min(length, span) or bool((start.replace(tzinfo=None) - MONDAY) // _TICK % step)
