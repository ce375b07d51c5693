"""Unit conversion: what a release calibrated for one privacy unit costs another unit of the same data.

A panel noised for `user-day` also reveals something about a `user`, at a higher cost, which counts
against a cap for the `user`. Everything needed is public and stored with the charge: intervals, regions,
windows.

Where records were cut to K intervals of a unit, they are coupled: if one of a person's days is removed,
K intervals of other days may be counted in its place, so that a shorter unit changes its own intervals
and as many others.

So they are where a unit is counted in at most G regions: without one of its intervals it may be counted
in another region throughout. What is counted before and after is each within the bound, and the squared
norm of their difference is at most the sum of both.

Where people are counted in few runs a day, what is cut couples the records of one day: a unit of one
interval can change all of its day, a day or week changes nothing but itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dp.composition.total import COUNTS, OFFSETS, PIECE, RUNS, Event
from dp.mechanisms import offset_noise, run_noise
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
    """Return the event of a release as it is accounted for a unit; None without a guarantee for it.

    Args:
        unit: the unit whose cost is returned.
        charge: for the unit that the release was calibrated for.
        grid: clocks and intervals of all releases of the data set, this one included.

    Returns:
        The event with the cost of `unit` in place of the charge's own; never less than the own cost for
        the own unit and for units that contain it.
    """
    event = charge.event
    if "panel" not in event:
        return event if unit == charge.unit else None
    if event["mechanism"] == PIECE:
        return event  # the charge for its group is there, and has what it costs every unit
    if event["mechanism"] == COUNTS:
        return None if isinstance(unit, IntervalUnit) else _counts(unit, charge, grid)
    if event["mechanism"] == OFFSETS:
        return None if isinstance(unit, IntervalUnit) else _offsets(unit, charge, grid)
    if event["mechanism"] == RUNS:
        return None if isinstance(unit, IntervalUnit) else _runs(unit, charge, grid)
    return _training(unit, charge, grid)


def times_of_unit(unit: Unit, charge: Charge, grid: TimeGrid) -> TimeRange:
    """Return the units that a release can reveal anything about, as a range (`Period.unit_range`)."""
    if unit is PrivacyUnit.USER or not grid.one_clock:
        return EVER  # which days are the same is not known
    if "panel" not in charge.event or charge.event["mechanism"] == PIECE:
        return charge.period.unit_range(unit)
    if grid.uniform or not _interval_long(unit):
        first, last = charge.period.unit_range(unit)
    else:
        first, last = _longest(unit, charge.period, grid)
    if _touch(unit, charge, grid).coupled and not _enforced(charge):
        # cut at the source, which affects releases of other periods too
        far = _coupled_reach(unit, charge, grid)
        first, last = min(first, far[0]), max(last, far[1])
    return first, last


def _coupled_reach(unit: Unit, charge: Charge, grid: TimeGrid) -> TimeRange:
    """Return where records of a unit can lie in whose place some of the release are counted."""
    if isinstance(unit, IntervalUnit):
        return EVER
    first, last = charge.period.unit_range(charge.unit)
    across = int(charge.period.interval.total_seconds()) if _crosses(charge, grid) else 0
    return first - across, last + across


@dataclass(frozen=True)
class _Touch:
    """The intervals of a release whose counts one unit can change.

    Attributes:
        width: consecutive intervals that hold all of its own records.
        changed: how many of these can change.
        coupled: further intervals anywhere, counted in the place of those that were its own; some of
            them may be in other releases.
        moves: whether records may be counted in other regions of the same interval.
    """

    width: int
    changed: int
    coupled: int = 0
    moves: bool = False


def _touch(unit: Unit, charge: Charge, grid: TimeGrid) -> _Touch:
    own, observed = charge.unit, _observed(charge)
    width = min(observed, _width(unit, charge, grid))
    limit, chosen = _limit(charge), _chooses_regions(charge) or _chooses_runs(charge)
    if limit is None and not chosen:
        return _Touch(width, width)
    if unit is PrivacyUnit.USER and own is not PrivacyUnit.USER:
        return _Touch(width, width)
    if _same(unit, charge, grid):
        return _Touch(width, width if limit is None else min(width, limit))
    if isinstance(unit, IntervalUnit):  # of everybody: all of them may move
        return _Touch(width, width, observed)
    if _by_day(unit, charge, grid):
        if unit is not PrivacyUnit.USER_INTERVAL:
            return _Touch(width, width)
        days, slots = _days(unit, charge, grid)
        return _Touch(width, 0, min(observed, days * slots))
    crosses = _crosses(charge, grid)
    if chosen:
        whole = (2 if crosses else 1) * _intervals_of_own(charge, grid)
        if unit == own or _within(unit, own):
            return _Touch(width, 0, 2 * whole, moves=True)  # all that was counted, and all that is
        return _Touch(width, width, 2 * whole if crosses else 0, moves=crosses)
    assert limit is not None  # noqa: S101  (else a G was chosen)
    most = min(width, limit * 2 if crosses else limit)
    if unit == own or _within(unit, own):
        return _Touch(width, most, most)
    return _Touch(width, width, most if crosses else 0)


def _crosses(charge: Charge, grid: TimeGrid) -> bool:
    """Return whether an interval can belong to two of the units that were cut."""
    return crosses_borders(charge.unit, interval=charge.period.interval, start=_start(charge, grid))


def _counts(unit: PrivacyUnit, charge: Charge, grid: TimeGrid) -> Event:
    touch = _touch(unit, charge, grid)
    least = _least(unit, charge, charge.event["intervals"])
    if unit != charge.unit:
        least = min(least, _observed(charge))
    every = _observed(charge) * (2 if touch.moves else 1)  # out of M regions and into M others
    changed = min(touch.changed + touch.coupled, every)
    return {**charge.event, "intervals": max(changed, least)}


def _offsets(unit: PrivacyUnit, charge: Charge, grid: TimeGrid) -> Event:
    """Return the cost of counts that share offsets, derived from their whole covariance.

    Offsets make the noise of single counts smaller, so that a unit in few of them costs more than
    under independent noise for the same promise. Whatever a unit changes costs no more than
    without offsets; where its counts lie in whole groups, or all in one, it costs less.
    """
    if _same(unit, charge, grid):
        return charge.event
    costs = [{**_counts(unit, charge, grid), "apart": True}]
    own, touch = charge.unit, _touch(unit, charge, grid)
    if _within(own, unit):
        costs.append({**charge.event, "groups": _groups(unit, charge, grid)})
    elif _within(unit, own) and not touch.coupled and (own is PrivacyUnit.USER or grid.one_clock):
        costs.append({**charge.event, "intervals": min(touch.changed, charge.event["intervals"])})
    return min(costs, key=lambda event: offset_noise.cost_of(event)[0])


def _runs(unit: PrivacyUnit, charge: Charge, grid: TimeGrid) -> Event:
    """Return the cost of counts that were filtered for people who are seen in few runs.

    Whatever a unit changes costs no more than the norm of the filter says. Runs that are only added
    cost no more than their sum. Two neighbours that are both within the bound are no further apart
    than twice the root of its cost.
    """
    if _same(unit, charge, grid):
        return charge.event
    own, event = charge.unit, charge.event
    costs = [{**event, "apart": _counts(unit, charge, grid)["intervals"]}]
    if _within(own, unit) and (unit is PrivacyUnit.USER or grid.one_clock):
        costs.append({**event, "units": _groups(unit, charge, grid)})
    elif _by_day(unit, charge, grid):
        days, slots = _days(unit, charge, grid)
        part = {
            "runs": min(event["runs"], days * event["panel"]["runs_per_day"]),
            "intervals": min(event["intervals"], days * slots),
        }
        coupled = unit is PrivacyUnit.USER_INTERVAL
        costs.append({**event, **part, **({"both": True} if coupled else {})})
    elif _within(unit, own) and (own is PrivacyUnit.USER or grid.one_clock) and grid.uniform:
        costs.append({**event, "both": True})
    return min(costs, key=lambda event: run_noise.cost_of(event)[0])


def _by_day(unit: Unit, charge: Charge, grid: TimeGrid) -> bool:
    """Return whether all that was cut of an own unit was cut day by day, and the unit is shorter."""
    if not _chooses_runs(charge) or _chooses_regions(charge) or _limit(charge) is not None:
        return False
    return grid.one_clock and _within(unit, charge.unit) and _enforced(charge)


def _days(unit: Unit, charge: Charge, grid: TimeGrid) -> tuple[int, int]:
    """Return in how many days of a release a unit has records, and how many intervals a day has."""
    slots = -(-timedelta(days=1) // charge.period.interval)
    if unit is PrivacyUnit.USER_DAY:
        return 1, slots
    if unit is PrivacyUnit.USER_WEEK:
        return 7, slots
    return 1 + -(-(_width(unit, charge, grid) - 1) // slots), slots


def _within(inner: Unit, outer: Unit) -> bool:
    """Return whether units of persons are shorter than others."""
    if isinstance(inner, IntervalUnit) or isinstance(outer, IntervalUnit):
        return False
    return _LENGTH.index(inner) < _LENGTH.index(outer)


def _groups(unit: PrivacyUnit, charge: Charge, grid: TimeGrid) -> int:
    """Return how many of the own units of a release a longer unit can have records in."""
    own = charge.unit
    assert isinstance(own, PrivacyUnit)  # noqa: S101  (offsets are shared by units of persons)
    assert own.span is not None  # noqa: S101  (there is a longer one, and it has several counts)
    first, last = charge.period.unit_range(own)
    every = timedelta(seconds=last - first) // own.span
    if unit.span is None:
        return every
    return min(every, unit.span // own.span + (not grid.one_clock))


def _training(unit: Unit, charge: Charge, grid: TimeGrid) -> Event:
    event, panel = charge.event, charge.event["panel"]
    touch = _touch(unit, charge, grid)
    reach = WindowReach(panel["lags"], tuple(panel["seasonal"]), panel["horizon"])
    each, hit = reach.affected(1), event["windows"]
    if unit is not PrivacyUnit.USER:
        hit = reach.affected(touch.width)
    hit = min(hit, touch.changed * each) if _limit(charge) is not None else hit
    hit = max(hit + touch.coupled * each, _least(unit, charge, event["hit"]))
    converted = {**event, "hit": min(event["windows"], hit)}
    if event["aside"] is not None:
        side = event["aside"]
        cells = max(_cells(unit, panel, touch), _least(unit, charge, side["cells"]))
        converted["aside"] = {**side, "cells": cells}
    return converted


def _least(unit: Unit, charge: Charge, own: int) -> int:
    """Return what was charged to the own unit, for it and larger ones; 0 for others."""
    mine = charge.unit
    if unit == mine:
        return own
    return own if _within(mine, unit) else 0


def _cells(unit: Unit, panel: dict[str, Any], touch: _Touch) -> int:
    """Return the squared change of the scale's histograms by a unit (`dp.mechanisms.scale`).

    A region has two histograms, and a pair of intervals moves one record in each of them from one cell
    to another. Pairs start `distance` apart, and w consecutive intervals meet those that start within
    w + 1 places. Several pairs may move from the same cell to the same other one.
    """
    all_pairs = -(-panel["observed"] // panel["distance"])
    pairs = -(-min(touch.width + 1, panel["observed"]) // panel["distance"])
    pairs = min(pairs, touch.changed) + touch.coupled
    counted = "regions" if isinstance(unit, IntervalUnit) else "regions_per_interval"
    regions = int(panel[counted])
    if touch.moves:
        regions = min(2 * regions, int(panel["regions"]))
    return 4 * regions * int(min(pairs, all_pairs)) ** 2


def _width(unit: Unit, charge: Charge, grid: TimeGrid) -> int:
    """Return the number of consecutive intervals of the release that hold all records of a unit."""
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
    """Return the range of a unit of the longest intervals, of which the period may hold a part."""
    (first, last), length = period.seconds, int(_span(unit, grid).total_seconds())
    if grid.offset is None or isinstance(unit, IntervalUnit):
        return first - length + 1, last  # named by the second in which it starts
    return whole(first, last, length, int(grid.offset))


def _start(charge: Charge, grid: TimeGrid) -> datetime | None:
    """Start of any interval by the clock that days are counted by; None if there are several."""
    return charge.period.start if grid.one_clock else None


def _same(unit: Unit, charge: Charge, grid: TimeGrid) -> bool:
    """Return whether a unit is the own one, and means the same stretches of time."""
    return unit == charge.unit and (grid.one_clock or unit is PrivacyUnit.USER)


def _interval_long(unit: Unit) -> bool:
    return isinstance(unit, IntervalUnit) or unit is PrivacyUnit.USER_INTERVAL


def _span(unit: Unit, grid: TimeGrid) -> timedelta:
    assert grid.interval is not None  # noqa: S101  (a grid of this release at least)
    return grid.interval * (unit.width if isinstance(unit, IntervalUnit) else 1)


def _observed(charge: Charge) -> int:
    return int(charge.event["panel"]["observed"])


def _enforced(charge: Charge) -> bool:
    """Return whether records were cut in counting this release, and in no other release with it."""
    enforced = charge.event["panel"].get("enforced")
    return bool(charge.recipe.get("source", {}).get("events") if enforced is None else enforced)


def _chooses_regions(charge: Charge) -> bool:
    """Return whether records of the own unit can have been cut because they were in further regions."""
    panel = charge.event["panel"]
    most = panel.get("regions_ever")
    if isinstance(charge.unit, IntervalUnit) or charge.unit is PrivacyUnit.USER_INTERVAL:
        return False  # what is cut within an interval changes no other
    return most is not None and most < panel["regions"]


def _chooses_runs(charge: Charge) -> bool:
    """Return whether records of the own unit can have been cut because a day had too many runs."""
    return (
        bool(charge.event["panel"].get("runs_per_day"))
        and isinstance(charge.unit, PrivacyUnit)
        and charge.unit is not PrivacyUnit.USER_INTERVAL
    )


def _intervals_of_own(charge: Charge, grid: TimeGrid) -> int:
    """Return in how many intervals of the release a unit that it was calibrated for is counted."""
    limit = _limit(charge)
    slots = intervals_of(
        charge.unit,
        observed=_observed(charge),
        interval=charge.period.interval,
        start=_start(charge, grid),
    )
    return slots if limit is None else min(limit, slots)


def _limit(charge: Charge) -> int | None:
    """Return K where a person of the own unit can have more records than were counted, else None.

    Those that were cut at the source may have had more than the release has intervals.
    """
    panel, own = charge.event["panel"], charge.unit
    if isinstance(own, IntervalUnit):
        return None
    if "intervals_per_unit" in panel:
        limit = panel["intervals_per_unit"]
    else:  # charged before it was recorded
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
