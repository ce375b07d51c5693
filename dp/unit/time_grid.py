"""What the releases of one data set have in common about time: the clock, and the intervals.

A calendar day, and one interval, are not the same by another clock or at another length. Whoever adds up
what was spent on "one day" or "one interval" must know whether all releases mean the same by it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta

from dp.unit.period import Period

UNSAID = "?"
"""Clock of releases that were charged before clocks were kept: that of UTC, or of the source."""
_UNSAID = (None, "UTC")
"""What it may be; any other clock was named in the recipe."""


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
        """With one more release.

        Args:
            period: of the release.
            timezone: whose clock the period is told by.
            counts: whether its intervals are those of counts; a statistic's do not say what one is.
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
        """Whether what was charged costs as much by either grid."""
        return replace(self, clocks=()) == replace(other, clocks=()) and (
            self.one_clock == other.one_clock
        )

    def to_json(self) -> str:
        """As canonical JSON."""
        seconds = None if self.interval is None else self.interval.total_seconds()
        return json.dumps([list(self.clocks), seconds, self.offset, self.uniform])

    @classmethod
    def from_json(cls, text: str) -> TimeGrid:
        """The grid that `to_json` gave."""
        clocks, seconds, offset, uniform = json.loads(text)
        length = None if seconds is None else timedelta(seconds=seconds)
        return cls(tuple(clocks), length, offset, uniform)

    def _clocks(self, timezone: str | None) -> tuple[str | None, ...]:
        known = self.clocks
        if timezone == UNSAID:
            return known if {UNSAID, *_UNSAID} & set(known) else (*known, UNSAID)
        if timezone in _UNSAID:
            # what was not said is taken to be what is said first: the same source has the same clock
            known = tuple(clock for clock in known if clock != UNSAID)
        return known if timezone in known else (*known, timezone)
