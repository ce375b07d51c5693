"""The period of a panel, and the privacy units that can have records in it.

If no unit can have records in two periods, their releases compose in parallel: the larger of the two
costs counts, not their sum (McSherry 2009, theorem 4; valid for adaptive releases too, since a period
without a unit's records is the same for both neighbours).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dp.unit.privacy_unit import IntervalUnit, PrivacyUnit, Unit

TimeRange = tuple[int, int]
"""Half-open range of seconds since 1970 (the panel's own clock)."""

EVER: TimeRange = (-(2**62), 2**62)
_DAY = 24 * 3600
_MONDAY = 4 * _DAY  # 1970-01-05


@dataclass(frozen=True)
class Period:
    """From the start of the first interval to the end of the last one, by the panel's own clock.

    Attributes:
        start: start of the first interval.
        end: end of the last interval.
        interval: length of one.
    """

    start: datetime
    end: datetime
    interval: timedelta

    def __post_init__(self) -> None:
        if not (self.end > self.start and self.interval > timedelta(0)):
            raise ValueError(f"expected a period from {self.start} to {self.end} to have a length")

    @property
    def seconds(self) -> tuple[int, int]:
        """Start and end, in seconds since 1970."""
        return _seconds(self.start), _seconds(self.end)

    def unit_range(self, unit: Unit) -> TimeRange:
        """Return the units that may have records in the period, as a range of times.

        Two periods by the same clock, with the same intervals, can share a unit only if their ranges
        overlap. A calendar day or week counts whole; `interval-w` is named by its first interval; one
        `user` is everywhere.
        """
        first, last = self.seconds
        if unit is PrivacyUnit.USER:
            return EVER
        if isinstance(unit, IntervalUnit):
            return first - (unit.width - 1) * int(self.interval.total_seconds()), last
        if unit is PrivacyUnit.USER_DAY:
            return whole(first, last, _DAY, 0)
        if unit is PrivacyUnit.USER_WEEK:
            return whole(first, last, 7 * _DAY, _MONDAY)
        return first, last

    def to_dict(self) -> dict[str, str | float]:
        """Return the period as JSON values."""
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "interval_seconds": self.interval.total_seconds(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, str | float]) -> Period:
        """Read the period from the result of `to_dict`."""
        return cls(
            datetime.fromisoformat(str(values["start"])),
            datetime.fromisoformat(str(values["end"])),
            timedelta(seconds=float(values["interval_seconds"])),
        )


def _seconds(time: datetime) -> int:
    return int(time.replace(tzinfo=UTC).timestamp())


def whole(first: int, last: int, length: int, origin: int) -> TimeRange:
    """Return the range of whole stretches of `length`, counted from `origin`, that a range touches."""
    start = (first - origin) // length * length + origin
    return start, -((origin - last) // length) * length + origin
