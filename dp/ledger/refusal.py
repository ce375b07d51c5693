"""Refusals of charges: the requested, spent and remaining budget, and what would fit instead."""

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
    """Return the refusal of a charge that does not fit.

    Args:
        account: the account whose cap would be passed.
        charge: the requested charge.
        event: converted to the account's unit; None without a guarantee for that unit.
        touched: what has been spent on the units that the charge reaches.
        cap: the cap.
    """
    spent = totals.epsilon(touched, cap.delta)
    requested = Total().plus(event).epsilon(cap.delta)
    left = 0.0
    if event is not None:
        full = totals.largest(touched.values())
        left = min(largest_fitting(cap, event, total) for total in full)
    unit = account.unit
    return BudgetRefused(
        requested=requested,
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
    fits = []
    if left > 0:
        fits.append(f"epsilon {_round_down(left)} for {account.unit.value}")
        if account.unit != charge.unit:
            fits[-1] += (
                f", which is the binding cap: a release for {charge.unit.value} with more noise"
            )
    free = [
        stretch
        for stretch, total in sorted(touched.items())
        if stretch != EVER and total.plus(event).within(cap)
    ]
    if free:
        start, end = max(free, key=lambda stretch: stretch[1] - stretch[0])
        fits.append(f"all of it for the period from {_day(start)} to {_day(end)}")
    elif account.unit == charge.unit and event["mechanism"] == COUNTS:
        (total,) = list(totals.largest(touched.values()))[:1]
        if fewer := _most_intervals(event, total, cap):
            days = fewer * charge.period.interval
            fits.append(f"the same noise on a panel of {fewer} intervals ({days})")
    return fits


def _most_intervals(event: Event, total: Total, cap: Budget) -> int:
    """Return the most intervals that the same noise can cover within the cap."""
    low, high = 0, int(event["intervals"])
    while high - low > 1:
        middle = (low + high) // 2
        fits = total.plus({**event, "intervals": middle}).within(cap)
        low, high = (middle, high) if fits else (low, middle)
    return low


def _round_down(value: float) -> str:
    """Round down to three digits."""
    scale = 10.0 ** (2 - math.floor(math.log10(value)))
    return f"{math.floor(value * scale) / scale:g}"


def _day(seconds: int) -> str:
    return str(datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None))
