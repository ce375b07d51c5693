"""Bounded counts of events: one expression, evaluated in the events' own engine."""

from __future__ import annotations

from typing import Any

import ibis

from data.bound import Bound
from data.events.order import keyed_order
from data.events.runs import cap_runs

Expression = Any  # of Ibis, which has no types for mypy


def bounded_counts(
    events: Expression, bound: Bound, *, seconds: int, secret: bytes, written: bool = False
) -> Expression:
    """Count distinct persons per interval and region, no unit beyond its bound.

    A person counts once per interval and region, whatever the number of events; in at most M regions of
    an interval, in at most G regions and K intervals of each unit, and in at most r runs of each day.
    `keyed_order` decides what is left out, for each person independently: adding or removing all
    events of one unit changes at most K·M counts in at most G regions by at most w_max each.

    Args:
        events: columns `person`, `time` (timestamp by the panel's clock), `region` (whole
            number), and `weight` (whole number) or none.
        bound: K, M, G, r, w_max and the unit. A run is counted by 1 from end to end, so that
            weights are not read where there is an r.
        seconds: length of an interval.
        secret: key of the order.
        written: whether identifiers are text because everything is, as in CSV files; whole numbers
            among them are ordered like whole numbers elsewhere.

    Returns:
        Expression with columns `interval` (number of intervals since 1970), `region`, `count`; no row
        without persons.
    """
    if bound.cuts_runs and "weight" in events.columns:
        events = events.drop("weight")
    weighted = "weight" in events.columns
    # not rounded to seconds first: 00:29:59.9 belongs to the interval before 00:30
    sightings = events.mutate(interval=events.time.epoch_seconds() // seconds).drop("time")
    # SQLite may hold text in a column of times: it has no interval, and one record causes no refusal
    sightings = sightings.filter(sightings.interval.notnull())
    if bound.cuts_regions:
        # before M and K, so that neither keeps what is then dropped
        sightings = _cap_regions(sightings, bound, seconds, secret, written=written)
    order = keyed_order(
        secret, "region", sightings.person, sightings.interval, sightings.region, written=written
    )
    if bound.regions == 1 and not weighted:
        cells = sightings.group_by("person", "interval").agg(region=sightings.region.argmin(order))
    else:
        value = {"weight": sightings.weight.max()} if weighted else {}
        cells = sightings.group_by("person", "interval", "region").agg(**value)
        cells = _first(
            cells,
            bound.regions,
            within=["person", "interval"],
            order=keyed_order(
                secret, "region", cells.person, cells.interval, cells.region, written=written
            ),
            ties="region",
        )
    if bound.cuts_runs:
        cells = cap_runs(cells, bound, seconds, secret, written=written)
    elif bound.cuts:
        cells = _cap_intervals(cells, bound, seconds, secret, written=written)
    total = cells.weight.clip(0, bound.weight).sum() if weighted else cells.count()
    return cells.group_by("interval", "region").agg(count=total.cast("int64"))


def _cap_intervals(
    cells: Expression, bound: Bound, seconds: int, secret: bytes, *, written: bool
) -> Expression:
    """Keep at most K intervals of each unit."""
    cells, within = _units(cells, bound, seconds)
    order = keyed_order(secret, "interval", cells.person, cells.interval, written=written)
    distinct = bound.regions == 1
    return _first(
        cells, bound.intervals, within=within, order=order, ties="interval", rows=distinct
    )


def _cap_regions(
    sightings: Expression, bound: Bound, seconds: int, secret: bytes, *, written: bool
) -> Expression:
    """Keep at most G regions of each unit, as one row per person, interval and region."""
    value = {"weight": sightings.weight.max()} if "weight" in sightings.columns else {}
    cells = sightings.group_by("person", "interval", "region").agg(**value)
    cells, within = _units(cells, bound, seconds)
    where = [cells[name] for name in within[1:]]
    order = keyed_order(secret, "ever", cells.person, *where, cells.region, written=written)
    most = bound.regions_ever or 0
    kept = _first(cells, most, within=within, order=order, ties="region", rows=False)
    return kept.drop(*within[1:])


def _units(cells: Expression, bound: Bound, seconds: int) -> tuple[Expression, list[str]]:
    """Return cells, and the columns that tell units apart: a person, of a day or week by its number."""
    if bound.span is None:
        return cells, ["person"]
    length, origin = bound.span
    number = ((cells.interval * seconds - origin) // length).cast("int64")
    return cells.mutate(unit=number), ["person", "unit"]


def _first(
    cells: Expression,
    most: int,
    *,
    within: list[str],
    order: Expression,
    ties: str,
    rows: bool = True,
) -> Expression:
    """Keep the first `most` rows, or groups of rows with equal `ties`, of each group."""
    cells = cells.mutate(order=order)
    window = ibis.window(group_by=within, order_by=["order", ties])
    rank = ibis.row_number() if rows else ibis.dense_rank()
    ranked = cells.mutate(rank=rank.over(window))
    return ranked.filter(ranked["rank"] < most).drop("order", "rank")
