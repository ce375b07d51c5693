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
    # named, so that they are views of their own: SQLite's parser takes no deeper nesting
    cells = _with_starts(cells.alias("veilcast_cells"), seconds).alias("veilcast_runs")
    order = keyed_order(secret, "run", cells.person, cells.start, cells.region, written=written)
    cells = cells.mutate(order=order)
    window = ibis.window(group_by=["person", "day"], order_by=["order", "start"])
    cells = cells.mutate(rank=ibis.dense_rank().over(window))
    cells = cells.filter(cells["rank"] < bound.runs_per_day).drop("order", "rank")
    return _whole_runs(cells, bound, seconds, secret, written=written) if bound.cuts else cells


def _with_starts(cells: Expression, seconds: int) -> Expression:
    """Return cells with their `day` and the first interval of their run, `start`.

    Within a person, day and region the number of an interval less its rank is the same in a run, and
    in no other.
    """
    cells = cells.mutate(day=(cells.interval * seconds // _DAY).cast("int64"))
    where = ["person", "day", "region"]
    window = ibis.window(group_by=where, order_by="interval")
    cells = cells.mutate(rank=ibis.row_number().over(window))
    cells = cells.mutate(island=cells.interval - cells["rank"]).drop("rank")
    start = cells.interval.min().over(ibis.window(group_by=[*where, "island"]))
    return cells.mutate(start=start).drop("island")


def _whole_runs(
    cells: Expression, bound: Bound, seconds: int, secret: bytes, *, written: bool
) -> Expression:
    """Keep the first runs of each unit that have at most K intervals together."""
    within = ["person"]
    cells = cells.alias("veilcast_some_runs")
    if bound.span is not None:
        length, origin = bound.span
        number = ((cells.start * seconds - origin) // length).cast("int64")
        cells, within = cells.mutate(unit=number), ["person", "unit"]
    order = keyed_order(secret, "runs", cells.person, cells.start, written=written)
    cells = cells.mutate(order=order)
    window = ibis.window(group_by=within, order_by=["order", "start", "interval"])
    cells = cells.mutate(place=ibis.row_number().over(window))
    last = cells.place.max().over(ibis.window(group_by=["person", "start"]))
    cells = cells.mutate(last=last)
    return cells.filter(cells["last"] < bound.intervals)
