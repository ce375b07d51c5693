"""Runs of consecutive intervals in one region: few of each day are counted, whole or not at all."""

from __future__ import annotations

from typing import Any

import ibis

from data.bound import Bound
from data.events.order import keyed_order

Expression = Any  # of Ibis, which has no types for mypy

_DAY = 24 * 3600


def cap_runs(
    cells: Expression, bound: Bound, seconds: int, secret: bytes, *, written: bool
) -> Expression:
    """Keep at most r runs of each person and day, and of them whole ones of at most K intervals a unit.

    A run ends at midnight, so that days are cut on their own. Which runs are kept is read off their
    first intervals and regions, neither off their lengths nor off their number. K is applied to what is
    left: runs in a keyed order, up to the first that does not fit. K intervals one by one would break
    runs.

    Args:
        cells: columns `person`, `interval`, `region`, each person in one region of an interval.
        bound: r, K and the unit.
        seconds: length of an interval.
        secret: key of the orders.
        written: as of `keyed_order`.
    """
    # named, so that it is written once: SQLite's parser takes no deeper nesting
    cells = _in_islands(cells, seconds).alias("veilcast_cells")
    run = ["person", "day", "region", "island"]
    runs = cells.group_by(*run).agg(start=cells.interval.min(), length=cells.count())
    order = keyed_order(secret, "run", runs.person, runs.start, runs.region, written=written)
    runs = runs.mutate(order=order)
    first = ibis.window(group_by=["person", "day"], order_by=["order", "start"])
    runs = runs.mutate(rank=ibis.row_number().over(first))
    runs = runs.filter(runs["rank"] < bound.runs_per_day).drop("order", "rank")
    if bound.cuts:
        runs = _whole_runs(runs, bound, seconds, secret, written=written)
    return cells.inner_join(runs, run)[["interval", "region"]]


def _in_islands(cells: Expression, seconds: int) -> Expression:
    """Return cells with their `day`, and a number that is the same in a run and in no other of the day.

    Within a person, day and region it is the number of an interval less its rank.
    """
    cells = cells.mutate(day=(cells.interval * seconds // _DAY).cast("int64"))
    window = ibis.window(group_by=["person", "day", "region"], order_by="interval")
    cells = cells.mutate(rank=ibis.row_number().over(window))
    return cells.mutate(island=cells.interval - cells["rank"]).drop("rank")


def _whole_runs(
    runs: Expression, bound: Bound, seconds: int, secret: bytes, *, written: bool
) -> Expression:
    """Keep the first runs of each unit that have at most K intervals together."""
    within = ["person"]
    if bound.span is not None:
        length, origin = bound.span
        number = ((runs.start * seconds - origin) // length).cast("int64")
        runs, within = runs.mutate(unit=number), ["person", "unit"]
    order = keyed_order(secret, "runs", runs.person, runs.start, written=written)
    runs = runs.mutate(order=order)
    until = ibis.window(group_by=within, order_by=["order", "start"], rows=(None, 0))
    runs = runs.mutate(together=runs.length.sum().over(until))
    return runs.filter(runs.together <= bound.intervals)
