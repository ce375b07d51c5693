"""Events to bounded counts: one expression, evaluated where the events are."""

from __future__ import annotations

from typing import Any

import ibis

from data.bound import Bound
from data.events.order import keyed_order

Expression = Any  # of Ibis, which has no types for mypy


def bounded_counts(
    events: Expression, bound: Bound, *, seconds: int, secret: bytes, written: bool = False
) -> Expression:
    """Distinct persons per interval and region, no unit counted more than its bound.

    A person counts once in an interval and region, however many events are there; in at most M regions
    of an interval, and in at most K intervals of each unit. What is left out is decided by
    `keyed_order`. Everything is decided person by person: adding or removing all events of one unit
    changes at most K·M counts by at most w_max each.

    Args:
        events: columns `person`, `time` (timestamp by the panel's clock), `region` (whole
            number), and `weight` (whole number) or none.
        bound: K, M, w_max and the unit.
        seconds: length of an interval.
        secret: key of the order.
        written: whether identifiers are text because everything is, as in CSV files; whole numbers
            among them are ordered like whole numbers elsewhere.

    Returns:
        Expression with columns `interval` (number of intervals since 1970), `region`, `count`; no
        row where there is nobody.
    """
    weighted = "weight" in events.columns
    # not rounded to seconds first: 00:29:59.9 belongs to the interval before 00:30
    seen = events.mutate(interval=events.time.epoch_seconds() // seconds).drop("time")
    # SQLite holds text in a column of times: it has no interval, and nothing is refused for one record
    seen = seen.filter(seen.interval.notnull())
    order = keyed_order(secret, "region", seen.person, seen.interval, seen.region, written=written)
    if bound.regions == 1 and not weighted:
        cells = seen.group_by("person", "interval").agg(region=seen.region.argmin(order))
    else:
        value = {"weight": seen.weight.max()} if weighted else {}
        cells = seen.group_by("person", "interval", "region").agg(**value)
        cells = _first(
            cells,
            bound.regions,
            within=["person", "interval"],
            order=keyed_order(
                secret, "region", cells.person, cells.interval, cells.region, written=written
            ),
            ties="region",
        )
    if bound.cuts:
        cells = _capped(cells, bound, seconds, secret, written=written)
    total = cells.weight.clip(0, bound.weight).sum() if weighted else cells.count()
    return cells.group_by("interval", "region").agg(count=total.cast("int64"))


def _capped(
    cells: Expression, bound: Bound, seconds: int, secret: bytes, *, written: bool
) -> Expression:
    """At most K intervals of each unit."""
    within = ["person"]
    if bound.span is not None:
        length, origin = bound.span
        cells = cells.mutate(unit=((cells.interval * seconds - origin) // length).cast("int64"))
        within.append("unit")
    order = keyed_order(secret, "interval", cells.person, cells.interval, written=written)
    distinct = bound.regions == 1
    return _first(
        cells, bound.intervals, within=within, order=order, ties="interval", rows=distinct
    )


def _first(
    cells: Expression,
    most: int,
    *,
    within: list[str],
    order: Expression,
    ties: str,
    rows: bool = True,
) -> Expression:
    """The first `most` rows, or groups of rows with equal `ties`, of each group."""
    cells = cells.mutate(order=order)
    window = ibis.window(group_by=within, order_by=["order", ties])
    rank = ibis.row_number() if rows else ibis.dense_rank()
    ranked = cells.mutate(rank=rank.over(window))
    return ranked.filter(ranked["rank"] < most).drop("order", "rank")
