"""The clock and the intervals that the releases of one data set have in common.

A calendar day depends on the clock, and an interval on its length. The costs of "one day" or "one
interval" may be added up only if all releases mean the same by it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta

from dp.unit.period import Period

UNRECORDED = "?"
"""Clock of releases that were charged before clocks were recorded: UTC, or that of the source."""
_CANDIDATES = (None, "UTC")
"""Clocks that it may stand for; any other one was named in the recipe."""


@dataclass(frozen=True)
class TimeGrid:
    """Clocks and intervals of all releases of a data set.

    Attributes:
        clocks: zones by whose clock it was released, each once; None where the source does not say.
        interval: length of the longest interval of any release: what one interval means to the units
            `user-interval` and `interval-w`; None without releases.
        offset: from 1970 to the start of any of the longest intervals, modulo their length, in seconds;
            None where they do not repeat without shifts.
        uniform: whether all releases have the same intervals.
    """

    clocks: tuple[str | None, ...] = ()
    interval: timedelta | None = None
    offset: float | None = None
    uniform: bool = True

    @property
    def one_clock(self) -> bool:
        """Whether a calendar day means the same stretch of time in all releases."""
        return len(self.clocks) <= 1

    def plus(self, period: Period, timezone: str | None, *, counts: bool = True) -> TimeGrid:
        """Return the grid with one more release.

        Args:
            period: of the release.
            timezone: zone by whose clock the period is given.
            counts: whether its intervals are those of counts; those of a statistic do not define what
                one interval is.
        """
        length = period.interval
        offset = period.seconds[0] % length.total_seconds()
        clocks = self._clocks(timezone)
        if not counts:
            return replace(self, clocks=clocks)
        if self.interval is None:
            return TimeGrid(clocks, length, offset)
        same = length == self.interval and offset == self.offset
        if length > self.interval:
            return TimeGrid(clocks, length, offset, uniform=False)
        return replace(
            self,
            clocks=clocks,
            offset=self.offset if same or length < self.interval else None,
            uniform=self.uniform and same,
        )

    def same_costs(self, other: TimeGrid) -> bool:
        """Return whether every charge costs as much by the other grid."""
        return replace(self, clocks=()) == replace(other, clocks=()) and (
            self.one_clock == other.one_clock
        )

    def to_json(self) -> str:
        """Return the grid as canonical JSON."""
        seconds = None if self.interval is None else self.interval.total_seconds()
        return json.dumps([list(self.clocks), seconds, self.offset, self.uniform])

    @classmethod
    def from_json(cls, text: str) -> TimeGrid:
        """Read the grid from the result of `to_json`."""
        clocks, seconds, offset, uniform = json.loads(text)
        length = None if seconds is None else timedelta(seconds=seconds)
        return cls(tuple(clocks), length, offset, uniform)

    def _clocks(self, timezone: str | None) -> tuple[str | None, ...]:
        known = self.clocks
        if timezone == UNRECORDED:
            return known if {UNRECORDED, *_CANDIDATES} & set(known) else (*known, UNRECORDED)
        if timezone in _CANDIDATES:
            # an unrecorded clock is the first recorded one: the same source has the same clock
            known = tuple(clock for clock in known if clock != UNRECORDED)
        return known if timezone in known else (*known, timezone)
