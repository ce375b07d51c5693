"""What a release that was calibrated for one privacy unit costs another unit of the same data.

A panel noised for `user-day` also tells something about a `user`, and more of it: whoever caps the
`user` must see it. Everything needed is public and kept with the event: intervals, regions, windows.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from dp.composition import COUNTS, Event
from dp.reach import WindowReach, hit_windows
from dp.unit import IntervalUnit, PrivacyUnit, Unit, derive_bound

_LENGTH = (PrivacyUnit.USER_INTERVAL, PrivacyUnit.USER_DAY, PrivacyUnit.USER_WEEK, PrivacyUnit.USER)


def seen_by(unit: Unit, event: Event, own: Unit) -> Event | None:
    """The same release as it is accounted for another unit; None if it promises that unit nothing.

    Args:
        unit: whose cost is asked for.
        event: with its `panel`, public facts about what was released.
        own: the unit that it was calibrated for.
    """
    if unit == own:
        return event
    if "panel" not in event:
        return None
    if event["mechanism"] == COUNTS:
        return None if isinstance(unit, IntervalUnit) else _counts(unit, event, own)
    return _training(unit, event)


def _counts(unit: PrivacyUnit, event: Event, own: Unit) -> Event:
    panel = event["panel"]
    shorter = isinstance(own, PrivacyUnit) and _LENGTH.index(unit) < _LENGTH.index(own)
    bound, _ = derive_bound(
        unit,
        observed=panel["observed"],
        interval=timedelta(seconds=panel["interval_seconds"]),
        regions=panel["regions"],
        regions_per_interval=event["regions"],
        # What was declared of a long unit holds for the shorter ones within it.
        intervals_per_unit=event["intervals"] if shorter else None,
        weight=event["weight"],
    )
    return {**event, "intervals": bound.intervals}


def _training(unit: Unit, event: Event) -> Event:
    panel = event["panel"]
    interval = timedelta(seconds=panel["interval_seconds"])
    reach = WindowReach(panel["lags"], tuple(panel["seasonal"]), panel["horizon"])
    hit, _ = hit_windows(unit, reach, windows=event["windows"], interval=interval)
    seen = {**event, "hit": hit}
    if event["aside"] is not None:
        seen["aside"] = {**event["aside"], "cells": _cells(unit, panel, interval)}
    return seen


def _cells(unit: Unit, panel: dict[str, Any], interval: timedelta) -> int:
    """Cells of the scale's histograms that a unit can change (`dp.scale`): four a region and pair.

    Pairs of intervals start `distance` apart, and w consecutive intervals meet those that start
    within w + 1 places.
    """
    width = unit.width if isinstance(unit, IntervalUnit) else _width(unit, panel, interval)
    pairs: int = math.ceil(min(width + 1, panel["observed"]) / panel["distance"])
    counted = "regions" if isinstance(unit, IntervalUnit) else "regions_per_interval"
    return 4 * int(panel[counted]) * pairs


def _width(unit: PrivacyUnit, panel: dict[str, Any], interval: timedelta) -> int:
    if unit is PrivacyUnit.USER:
        return int(panel["observed"])
    return 1 if unit.span is None else math.ceil(unit.span / interval)
