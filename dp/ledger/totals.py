"""Totals per stretch of time, updated with every charge.

A charge adds to the units that may have records in its period and to no others, so that only those need
to be read, however long the history is.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from dp.charge import Charge
from dp.composition.total import Event, Total, largest_epsilon
from dp.composition.unit_conversion import event_for_unit, times_of_unit
from dp.ledger.tables import TotalRow
from dp.ledger.values import Account
from dp.unit.period import TimeRange
from dp.unit.time_grid import TimeGrid

Stretches = dict[TimeRange, Total]
"""Amounts spent on the units of each stretch; stretches have no gaps and no overlaps."""


def load(session: Session, account: Account, reach: TimeRange | None = None) -> Stretches:
    """Return what has been spent, as far as it overlaps `reach`."""
    query = select(TotalRow.start, TotalRow.end, TotalRow.total).where(
        TotalRow.account == account.id
    )
    if reach is not None:
        query = query.where(TotalRow.start < reach[1], TotalRow.end > reach[0])
    rows = session.execute(query.order_by(TotalRow.start))
    return {(row.start, row.end): Total.from_json(row.total) for row in rows}


def add(before: Stretches, reach: TimeRange, event: Event | None) -> tuple[Stretches, Stretches]:
    """Add an event to stretches.

    Args:
        before: those that overlap `reach`.
        reach: of the event.
        event: None if it promises the unit nothing.

    Returns:
        All stretches that replace `before`, and those of them that the event reaches, as they were.
    """
    after: Stretches = {}
    touched: Stretches = {}
    at = reach[0]
    for (start, end), total in sorted(before.items()):
        if start < reach[0]:
            after[start, reach[0]] = total
        if at < start:
            touched[at, start] = Total()
        touched[max(start, reach[0]), min(end, reach[1])] = total
        if end > reach[1]:
            after[reach[1], end] = total
        at = min(end, reach[1])
    if at < reach[1]:
        touched[at, reach[1]] = Total()
    sums: dict[Total, Total] = {}
    for stretch, total in touched.items():
        if total not in sums:
            sums[total] = total.plus(event)
        after[stretch] = sums[total]
    return after, touched


def replace(session: Session, account: Account, before: Stretches, after: Stretches) -> None:
    """Write stretches in the place of others."""
    starts = [start for start, _ in before]
    for first in range(0, len(starts), 500):
        session.execute(
            delete(TotalRow).where(
                TotalRow.account == account.id, TotalRow.start.in_(starts[first : first + 500])
            )
        )
    session.add_all(
        TotalRow(account=account.id, start=start, end=end, total=total.to_json())
        for (start, end), total in sorted(after.items())
    )
    session.flush()


def of_charges(account: Account, charges: Iterable[Charge], grid: TimeGrid) -> Stretches:
    """Compute what charges to a data set have spent on the account's unit, from nothing."""
    stretches: Stretches = {}
    for charge in charges:
        reach = times_of_unit(account.unit, charge, grid)
        near = {
            (start, end): total
            for (start, end), total in stretches.items()
            if start < reach[1] and end > reach[0]
        }
        for stretch in near:
            del stretches[stretch]
        stretches.update(add(near, reach, event_for_unit(account.unit, charge, grid))[0])
    return stretches


def epsilon(stretches: Stretches, delta: float) -> float:
    """Return the most that has been spent on any one unit, at `delta`."""
    return largest_epsilon(largest(stretches.values()), delta)


def largest(totals: Iterable[Total]) -> set[Total]:
    """Drop totals that another one is sure to exceed, before and after any further event.

    Of two totals with the same trainings, one exceeds the other only if it is larger in everything that
    adds up: with different noise, a larger ρ may go with a smaller μ².
    """
    kinds: dict[tuple[object, ...], list[Total]] = {}
    for total in set(totals):
        kinds.setdefault((total.low_noise, total.sigma, total.trainings, total.open), []).append(
            total
        )
    binding = set()
    for similar in kinds.values():
        mu2 = cells = -1
        by_size = sorted(similar, key=lambda total: (total.rho, total.mu2, total.cells))
        for total in reversed(by_size):
            if total.mu2 > mu2 or total.cells > cells:
                binding.add(total)
            mu2, cells = max(mu2, total.mu2), max(cells, total.cells)
    return binding
