"""The refusal of a charge: what was asked, spent and left, and what would fit instead."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from dp.budget import Budget, BudgetRefused
from dp.charge import Charge
from dp.composition.total import COUNTS, Event, Total, largest_fitting
from dp.ledger import totals
from dp.ledger.totals import Stretches
from dp.ledger.values import Account
from dp.unit.period import EVER


def refusal(
    account: Account, charge: Charge, event: Event | None, touched: Stretches, cap: Budget
) -> BudgetRefused:
    """Why a charge does not fit.

    Args:
        account: the account whose cap would be passed.
        charge: what was asked for.
        event: as the account's unit sees it; None if it promises that unit nothing.
        touched: what has been spent on the units that the charge reaches.
        cap: the cap.
    """
    spent = totals.epsilon(touched, cap.delta)
    asked = Total().plus(event).epsilon(cap.delta)
    left = 0.0
    if event is not None:
        full = totals.largest(touched.values())
        left = min(largest_fitting(cap, event, total) for total in full)
    unit = account.unit
    return BudgetRefused(
        asked=asked,
        spent=spent,
        left=left,
        account=account.dataset,
        terms=f"unit {unit.value}, delta {cap.delta:g}, {unit.neighbours}, cap {cap.epsilon:g}",
        fits=tuple(_fits(account, charge, event, touched, cap, left)),
    )


def _fits(
    account: Account,
    charge: Charge,
    event: Event | None,
    touched: Stretches,
    cap: Budget,
    left: float,
) -> list[str]:
    if event is None:
        return []
    found = []
    if left > 0:
        found.append(f"epsilon {_down(left)} for {account.unit.value}")
        if account.unit != charge.unit:
            found[-1] += (
                f", which is the binding cap: a release for {charge.unit.value} with more noise"
            )
    free = [
        stretch
        for stretch, total in sorted(touched.items())
        if stretch != EVER and total.plus(event).within(cap)
    ]
    if free:
        start, end = max(free, key=lambda one: one[1] - one[0])
        found.append(f"all of it for the period from {_day(start)} to {_day(end)}")
    elif account.unit == charge.unit and event["mechanism"] == COUNTS:
        (total,) = list(totals.largest(touched.values()))[:1]
        if fewer := _fewer(event, total, cap):
            days = fewer * charge.period.interval
            found.append(f"the same noise on a panel of {fewer} intervals ({days})")
    return found


def _fewer(event: Event, total: Total, cap: Budget) -> int:
    """The most intervals that the same noise can cover."""
    low, high = 0, int(event["intervals"])
    while high - low > 1:
        middle = (low + high) // 2
        fits = total.plus({**event, "intervals": middle}).within(cap)
        low, high = (middle, high) if fits else (low, middle)
    return low


def _down(value: float) -> str:
    """Three digits, rounded down."""
    scale = 10.0 ** (2 - math.floor(math.log10(value)))
    return f"{math.floor(value * scale) / scale:g}"


def _day(seconds: int) -> str:
    return str(datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None))
