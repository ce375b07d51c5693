"""The contribution bound of events, which is enforced in counting and which noise is calibrated for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

_SPANS = {
    "user": None,
    "user-week": timedelta(weeks=1),
    "user-day": timedelta(days=1),
}
_KNOWN = ", ".join((*_SPANS, "user-interval"))
_MONDAY = 4 * 24 * 3600  # 1970-01-05


@dataclass(frozen=True)
class Bound:
    """The most that one privacy unit may add to a panel, enforced event by event.

    A unit is counted in at most `intervals` intervals, a person in at most `regions` regions within
    one interval and in at most `regions_ever` different ones in all, adding at most `weight` to a
    count. Where `runs_per_day` says so, all of it lies in so many runs of consecutive intervals in one
    region of each calendar day, which are counted whole or not at all.

    Attributes:
        unit: `user`, `user-week`, `user-day` or `user-interval`.
        intervals: K.
        regions: M.
        weight: w_max, in persons.
        slots: intervals that a unit has at all (`intervals_of`); K is below it where records are cut.
        regions_ever: G; None if a unit may be in every region of the panel.
        runs_per_day: r; None if a day may have any number of runs.
    """

    unit: str
    intervals: int
    regions: int
    weight: int
    slots: int
    regions_ever: int | None = None
    runs_per_day: int | None = None

    def __post_init__(self) -> None:
        for name in ("intervals", "regions", "weight", "slots"):
            value = getattr(self, name)
            if value < 1 or value != int(value):
                raise ValueError(f"expected {name}={value} to be a whole number of at least 1")
        if self.intervals > self.slots:
            raise ValueError(f"expected K={self.intervals} ≤ {self.slots}, what a unit has at all")
        check_regions_ever(self.regions_ever, regions_per_interval=self.regions)
        check_runs_per_day(self.runs_per_day, regions_per_interval=self.regions, weight=self.weight)

    @property
    def sensitivity(self) -> float:
        """Δ₂ = w_max·√(M·K), in persons."""
        return self.weight * math.sqrt(self.intervals * self.regions)

    @property
    def cuts(self) -> bool:
        """Whether some records of a unit can be cut: it can have more intervals than are counted."""
        return self.intervals < self.slots

    @property
    def cuts_regions(self) -> bool:
        """Whether records can be cut for their region alone; within one interval M has done that."""
        return self.regions_ever is not None and self.slots > 1

    @property
    def cuts_runs(self) -> bool:
        """Whether whole runs can be cut because a day has too many of them."""
        return self.runs_per_day is not None and self.slots > 1

    @property
    def span(self) -> tuple[int, int] | None:
        """Length and origin of a unit, seconds since 1970; None for the whole panel.

        Calendar days and weeks (from Monday) by the panel's own clock, as the ledger has them.
        """
        length = _SPANS.get(self.unit)
        if length is None:
            return None
        seconds = int(length.total_seconds())
        return seconds, _MONDAY if self.unit == "user-week" else 0


def intervals_of(unit: str, *, periods: int, interval: timedelta) -> int:
    """Return the number of intervals of a panel that one privacy unit has.

    Intervals divide a day and start on multiples of their length, so that none lies across the border
    of two days or weeks.

    Args:
        unit: name of the privacy unit.
        periods: intervals in the panel.
        interval: length of one.

    Raises:
        ValueError: unknown unit.
    """
    if unit == "user-interval":
        return min(periods, 1)
    if unit not in _SPANS:
        raise ValueError(f"unit={unit!r} has no bound on events; choose {_KNOWN}")
    span = _SPANS[unit]
    return periods if span is None else min(periods, -(-span // interval))


def check_regions_ever(
    regions_ever: int | None,
    *,
    regions: int | None = None,
    regions_per_interval: int | None = None,
) -> None:
    """Refuse a G that fits neither M nor the panel.

    Args:
        regions_ever: G; None fits everything.
        regions: regions of the panel, where known.
        regions_per_interval: M, where known.

    Raises:
        ValueError: it is no whole number, below M, or above the number of regions.
    """
    if regions_ever is None:
        return
    if regions_ever < 1 or regions_ever != int(regions_ever):
        raise ValueError(f"expected regions_ever={regions_ever} to be a whole number of at least 1")
    if regions_per_interval is not None and regions_ever < regions_per_interval:
        raise ValueError(
            f"expected regions_ever={regions_ever} to be at least {regions_per_interval}, the regions "
            "that count one person within a single interval (regions_per_interval)"
        )
    if regions is not None and regions_ever > regions:
        raise ValueError(
            f"expected regions_ever={regions_ever} to be at most {regions} regions, all that the panel "
            "has; leave it out if one unit may be counted in every one of them"
        )


def check_runs_per_day(
    runs_per_day: int | None, *, regions_per_interval: int | None = None, weight: int = 1
) -> None:
    """Refuse an r that is no number, or that M or w_max leave no meaning.

    Whoever is in several regions at a time, or adds more to one count of a run than to another, does not
    add runs.

    Args:
        runs_per_day: r; None fits everything.
        regions_per_interval: M, where known; 1 by default.
        weight: w_max.

    Raises:
        ValueError: it is no whole number of at least 1, or M or w_max is above 1.
    """
    if runs_per_day is None:
        return
    if runs_per_day < 1 or runs_per_day != int(runs_per_day):
        raise ValueError(f"expected runs_per_day={runs_per_day} to be a whole number of at least 1")
    if (regions_per_interval or 1) > 1 or weight > 1:
        raise ValueError(
            f"runs_per_day={runs_per_day} is for people who are in one region at a time and count once; "
            f"leave it out, or regions_per_interval={regions_per_interval or 1} and weight={weight}"
        )


def enforceable(
    unit: str,
    *,
    periods: int,
    interval: timedelta,
    regions: int,
    intervals_per_unit: int | None = None,
    regions_per_interval: int | None = None,
    regions_ever: int | None = None,
    runs_per_day: int | None = None,
    weight: int = 1,
) -> Bound:
    """Return the bound to enforce for a panel that is about to be counted.

    Args:
        unit: name of the privacy unit.
        periods: intervals in the panel.
        interval: length of one.
        regions: regions in the panel.
        intervals_per_unit: K; by default as many as the unit has.
        regions_per_interval: M; by default 1, a person is in one region at a time.
        regions_ever: G; by default, and if it is as many as the panel has, a unit may be in all regions.
            A unit of one interval is in at most M of them whatever G is.
        runs_per_day: r; by default, and if it is as many as a day has intervals, a day may have any
            number. Within one interval there is one.
        weight: w_max.

    Raises:
        ValueError: unknown unit, or a number out of range.
    """
    slots = intervals_of(unit, periods=periods, interval=interval)
    most = min(regions, regions_per_interval or 1)
    check_regions_ever(regions_ever, regions=regions, regions_per_interval=most)
    check_runs_per_day(runs_per_day, regions_per_interval=most, weight=weight)
    if regions_ever is not None and slots == 1:
        regions_ever = most
    if runs_per_day is not None and (slots == 1 or runs_per_day * interval >= timedelta(days=1)):
        runs_per_day = None
    return Bound(
        unit,
        intervals=min(slots, intervals_per_unit or slots),
        regions=most,
        weight=weight,
        slots=slots,
        regions_ever=None if regions_ever == regions else regions_ever,
        runs_per_day=runs_per_day,
    )
