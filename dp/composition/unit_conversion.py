"""What a release that was calibrated for one privacy unit costs another unit of the same data.

A panel noised for `user-day` also tells something about a `user`, and more of it: whoever caps the
`user` must see it. Everything needed is public and kept with the charge: intervals, regions, windows.

Where records were cut to K intervals of a unit, they are coupled: without one of a person's days, K
intervals of other days may be counted in its place, so that a shorter unit changes what it had itself
and as much again elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dp.composition.total import COUNTS, Event
from dp.unit.period import EVER, Period, TimeRange, whole
from dp.unit.privacy_unit import (
    IntervalUnit,
    PrivacyUnit,
    Unit,
    crosses_borders,
    intervals_of,
    touched_intervals,
)
from dp.unit.time_grid import TimeGrid
from dp.unit.window_reach import WindowReach

if TYPE_CHECKING:
    from dp.charge import Charge

_MANY = 10**9
"""More intervals than any source has."""
_LENGTH = (PrivacyUnit.USER_INTERVAL, PrivacyUnit.USER_DAY, PrivacyUnit.USER_WEEK, PrivacyUnit.USER)


def event_for_unit(unit: Unit, charge: Charge, grid: TimeGrid) -> Event | None:
    """The release as it is accounted for a unit; None if it promises that unit nothing.

    Args:
        unit: whose cost is asked for.
        charge: for the unit that the release was calibrated for.
        grid: clocks and intervals of all releases of the data set, this one included.

    Returns:
        The event with the cost of `unit` in place of the own one; never less than the own one for the
        own unit and for those that hold it.
    """
    event = charge.event
    if "panel" not in event:
        return event if unit == charge.unit else None
    if event["mechanism"] == COUNTS:
        return None if isinstance(unit, IntervalUnit) else _counts(unit, charge, grid)
    return _training(unit, charge, grid)


def times_of_unit(unit: Unit, charge: Charge, grid: TimeGrid) -> TimeRange:
    """The units that a release can tell something about, as a range of times (`Period.unit_range`)."""
    if unit is PrivacyUnit.USER or not grid.one_clock:
        return EVER  # nobody knows which days are the same
    if "panel" not in charge.event:
        return charge.period.unit_range(unit)
    if grid.uniform or not _interval_long(unit):
        first, last = charge.period.unit_range(unit)
    else:
        first, last = _longest(unit, charge.period, grid)
    if _touch(unit, charge, grid).coupled and not _enforced(charge):
        # cut at the source, in releases of other periods too
        far = _coupled_reach(unit, charge, grid)
        first, last = min(first, far[0]), max(last, far[1])
    return first, last


def _coupled_reach(unit: Unit, charge: Charge, grid: TimeGrid) -> TimeRange:
    """Where records of a unit can lie in whose place some of the release are counted."""
    if isinstance(unit, IntervalUnit):
        return EVER
    first, last = charge.period.unit_range(charge.unit)
    across = int(charge.period.interval.total_seconds()) if _crosses(charge, grid) else 0
    return first - across, last + across


@dataclass(frozen=True)
class _Touch:
    """Where one unit can change the counts of a release.

    Attributes:
        width: consecutive intervals that hold all of its own records.
        changed: how many of these can change.
        coupled: further intervals anywhere, counted in the place of those that were its own; some of
            them may be in other releases.
    """

    width: int
    changed: int
    coupled: int = 0


def _touch(unit: Unit, charge: Charge, grid: TimeGrid) -> _Touch:
    own, observed = charge.unit, _observed(charge)
    width = min(observed, _width(unit, charge, grid))
    limit = _limit(charge)
    if limit is None or (unit is PrivacyUnit.USER and own is not PrivacyUnit.USER):
        return _Touch(width, width)
    if _same(unit, charge, grid):
        return _Touch(width, min(width, limit))
    if isinstance(unit, IntervalUnit):  # of everybody: all of them may move
        return _Touch(width, width, observed)
    crosses = _crosses(charge, grid)
    most = min(width, limit * 2 if crosses else limit)
    if unit == own or _LENGTH.index(unit) < _LENGTH.index(own):
        return _Touch(width, most, most)
    return _Touch(width, width, most if crosses else 0)


def _crosses(charge: Charge, grid: TimeGrid) -> bool:
    """Whether an interval can belong to two of the units that were cut."""
    return crosses_borders(charge.unit, interval=charge.period.interval, start=_start(charge, grid))


def _counts(unit: PrivacyUnit, charge: Charge, grid: TimeGrid) -> Event:
    touch = _touch(unit, charge, grid)
    least = _least(unit, charge, charge.event["intervals"])
    if unit != charge.unit:
        least = min(least, _observed(charge))
    changed = min(touch.changed + touch.coupled, _observed(charge))
    return {**charge.event, "intervals": max(changed, least)}


def _training(unit: Unit, charge: Charge, grid: TimeGrid) -> Event:
    event, panel = charge.event, charge.event["panel"]
    touch = _touch(unit, charge, grid)
    reach = WindowReach(panel["lags"], tuple(panel["seasonal"]), panel["horizon"])
    each, hit = reach.affected(1), event["windows"]
    if unit is not PrivacyUnit.USER:
        hit = reach.affected(touch.width)
    hit = min(hit, touch.changed * each) if _limit(charge) is not None else hit
    hit = max(hit + touch.coupled * each, _least(unit, charge, event["hit"]))
    seen = {**event, "hit": min(event["windows"], hit)}
    if event["aside"] is not None:
        side = event["aside"]
        cells = max(_cells(unit, panel, touch), _least(unit, charge, side["cells"]))
        seen["aside"] = {**side, "cells": cells}
    return seen


def _least(unit: Unit, charge: Charge, own: int) -> int:
    """What was charged to the own unit, for it and whatever holds it; else nothing."""
    mine = charge.unit
    if unit == mine:
        return own
    if isinstance(unit, IntervalUnit) or isinstance(mine, IntervalUnit):
        return 0
    return own if _LENGTH.index(unit) > _LENGTH.index(mine) else 0


def _cells(unit: Unit, panel: dict[str, Any], touch: _Touch) -> int:
    """Squared change of the scale's histograms by a unit (`dp.mechanisms.scale`).

    A region has two histograms, and a pair of intervals moves one record in each of them from one cell
    to another. Pairs start `distance` apart, and w consecutive intervals meet those that start within
    w + 1 places. Several pairs may move from the same cell to the same other one.
    """
    all_pairs = -(-panel["observed"] // panel["distance"])
    pairs = -(-min(touch.width + 1, panel["observed"]) // panel["distance"])
    pairs = min(pairs, touch.changed) + touch.coupled
    counted = "regions" if isinstance(unit, IntervalUnit) else "regions_per_interval"
    return 4 * int(panel[counted]) * int(min(pairs, all_pairs)) ** 2


def _width(unit: Unit, charge: Charge, grid: TimeGrid) -> int:
    """Consecutive intervals of the release that a unit can have records in."""
    period = charge.period
    if _interval_long(unit):
        if grid.uniform and grid.one_clock:
            return unit.width if isinstance(unit, IntervalUnit) else 1
        offset = None
        known = grid.offset is not None and grid.one_clock
        if known and not isinstance(unit, IntervalUnit):
            offset = timedelta(seconds=period.seconds[0] - float(grid.offset or 0))
        return touched_intervals(_span(unit, grid), period.interval, offset)
    return intervals_of(
        unit, observed=_observed(charge), interval=period.interval, start=_start(charge, grid)
    )


def _longest(unit: Unit, period: Period, grid: TimeGrid) -> TimeRange:
    """The range of a unit of the longest intervals, of which the period may hold a part."""
    (first, last), length = period.seconds, int(_span(unit, grid).total_seconds())
    if grid.offset is None or isinstance(unit, IntervalUnit):
        return first - length + 1, last  # named by the second in which it starts
    return whole(first, last, length, int(grid.offset))


def _start(charge: Charge, grid: TimeGrid) -> datetime | None:
    """Start of any interval by the clock that days are counted by; None if there are several."""
    return charge.period.start if grid.one_clock else None


def _same(unit: Unit, charge: Charge, grid: TimeGrid) -> bool:
    """Whether a unit is the own one, and means the same stretches of time."""
    return unit == charge.unit and (grid.one_clock or unit is PrivacyUnit.USER)


def _interval_long(unit: Unit) -> bool:
    return isinstance(unit, IntervalUnit) or unit is PrivacyUnit.USER_INTERVAL


def _span(unit: Unit, grid: TimeGrid) -> timedelta:
    assert grid.interval is not None  # noqa: S101  (a grid of this release at least)
    return grid.interval * (unit.width if isinstance(unit, IntervalUnit) else 1)


def _observed(charge: Charge) -> int:
    return int(charge.event["panel"]["observed"])


def _enforced(charge: Charge) -> bool:
    """Whether records were cut when the release was counted, and in no other release with it."""
    said = charge.event["panel"].get("enforced")
    return bool(charge.recipe.get("source", {}).get("events") if said is None else said)


def _limit(charge: Charge) -> int | None:
    """K, where a person of the own unit can have more records than were counted.

    Those that were cut at the source may have had more than the release has intervals.
    """
    panel, own = charge.event["panel"], charge.unit
    if isinstance(own, IntervalUnit):
        return None
    if "intervals_per_unit" in panel:
        limit = panel["intervals_per_unit"]
    else:  # charged before it was kept
        limit = charge.recipe.get("privacy", {}).get("intervals_per_unit")
    observed = _MANY
    if limit is None or _enforced(charge):
        observed = _observed(charge)
    if limit is None and "intervals_per_unit" not in panel:
        limit = charge.event.get("intervals")
    period = charge.period
    slots = intervals_of(own, observed=observed, interval=period.interval, start=period.start)
    if "intervals_per_unit" not in panel and own.span:  # borders were not looked at either
        slots = min(slots, math.ceil(own.span / period.interval))
    return limit if limit is not None and limit < slots else None
