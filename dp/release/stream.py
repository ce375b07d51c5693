"""Streamed counts: every interval is released once as it comes, under one guarantee for all of them.

The noise is calibrated for everything that one unit can ever be counted in (a day's intervals for
`user-day`, what the budget is to last for `user`), and the same on every count. Each piece is charged
with the intervals of a unit that it holds, so that the ledger's total reaches what was promised when
all of a unit's intervals are out, and not before. Pieces are adaptive: what the later ones hold is
not known when the first are drawn, which composition of Gaussians allows (Dong, Roth, Su 2022).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from dp.budget import Budget
from dp.ledger import Entry, Ledger
from dp.ledger.identity import release_key
from dp.mechanisms.count_noise import CountNoise, calibrate
from dp.release.panel import Release, charge_for_counts, draw_once, period_of
from dp.unit.contribution import derive_bound
from dp.unit.privacy_unit import MONDAY, PrivacyUnit, crosses_borders, intervals_of

_EVER = 10**9
"""A number of intervals that only the length of the unit bounds."""


def stream_noise(
    budget: Budget, unit: PrivacyUnit, *, lasts: int | None, **bounds: Any
) -> tuple[CountNoise, tuple[str, ...]]:
    """Return the noise for a stream, and why one unit can change no more than it covers.

    Args:
        budget: for all that is ever released about one unit.
        unit: privacy unit.
        lasts: intervals that the budget is to last; needed for `user`, whose records never end.
        bounds: further arguments of `derive_bound`.

    Raises:
        ValueError: `lasts` is missing, or a declared bound does not fit.
    """
    if unit is PrivacyUnit.USER and lasts is None:
        raise ValueError(
            "unit user has one budget for all that ever comes; say how long it is to last, such as "
            'stream.lasts="90d", or choose user-week, user-day or user-interval'
        )
    observed = lasts if unit is PrivacyUnit.USER and lasts is not None else _EVER
    bound, reasons = derive_bound(unit, observed=observed, **bounds)
    return calibrate(budget, bound), reasons


def pieces(times: pd.DatetimeIndex, interval: timedelta, unit: PrivacyUnit) -> tuple[slice, ...]:
    """Cut new intervals into pieces so that no unit is charged for more intervals than it has.

    A partial day or week is a piece of its own; whole ones are kept together. An interval across a
    border is a piece of its own, and so is each run of intervals between such borders.
    """
    if unit.span is None or not len(times):
        return (slice(0, len(times)),)
    if crosses_borders(unit, interval=interval, start=times[0].to_pydatetime()):
        begun = times - pd.Timestamp(MONDAY)
        ended = begun + pd.Timedelta(interval) - pd.Timedelta(1)
        starts = np.diff(begun // pd.Timedelta(unit.span)) != 0
        ends = np.diff(ended // pd.Timedelta(unit.span)) != 0
        changes = np.flatnonzero(starts | ends) + 1
        return tuple(slice(int(a), int(b)) for a, b in pairwise([0, *changes, len(times)]))
    epoch = pd.Timestamp("1970-01-01")
    start, end = period_of(times.to_frame(), interval).unit_range(unit)
    first, last = epoch + pd.Timedelta(seconds=start), epoch + pd.Timedelta(seconds=end)
    head = 0 if times[0] == first else int(times.searchsorted(first + unit.span))
    whole = times[-1] + interval == last
    tail = len(times) if whole else int(times.searchsorted(last - unit.span))
    cuts = sorted({0, head, max(head, tail), len(times)})
    return tuple(slice(a, b) for a, b in pairwise(cuts))


def piece_noise(
    whole: CountNoise, counts: pd.DataFrame, unit: PrivacyUnit, interval: timedelta
) -> CountNoise:
    """Return the stream's noise, accounted for the intervals of one unit that a piece holds."""
    bound, _ = derive_bound(
        unit,
        observed=int(counts.notna().all(axis=1).sum()),
        interval=interval,
        regions=len(counts.columns),
        regions_per_interval=whole.bound.regions,
        intervals_per_unit=whole.bound.intervals,
        weight=whole.bound.weight,
        start=counts.index[0],
    )
    return CountNoise(bound=bound, budget=whole.budget, sigma=whole.sigma)


def release_piece(
    counts: pd.DataFrame,
    whole: CountNoise,
    *,
    ledger: Ledger,
    unit: PrivacyUnit,
    interval: timedelta,
    secret: bytes,
    dataset: str,
    intervals_per_unit: int | None = None,
    stream: str | None = None,
    earlier: tuple[str, ...] = (),
    **about: Any,
) -> Release:
    """Noise a piece of a stream under its own charge.

    The key names the stream and the intervals, not the counts: a second request, with counts that were
    corrected meanwhile, gets the release that was made, and no second noise. Two streams of one data
    set have separate keys.

    Args:
        counts: raw counts, [T, R]; rows of NaN where not observed, at least one that is.
        whole: the stream's noise; its budget is the cap, beside the account's own.
        ledger: where the charge is written.
        unit: privacy unit.
        interval: length of one.
        secret: the installation's key.
        dataset: the data set's name in the ledger.
        intervals_per_unit: K, if declared; by default that of the noise where it is below what a day,
            week or interval has.
        stream: the stream's own name; by default that of the data set.
        earlier: names that the stream or its data set had before.
        about: further arguments of `charge_for_counts`.

    Raises:
        BudgetRefused: a total would pass its cap; nothing was drawn.
    """
    noise = piece_noise(whole, counts, unit, interval)
    slots = intervals_of(unit, observed=_EVER, interval=interval, start=counts.index[0])
    limit = intervals_per_unit
    if limit is None and unit is not PrivacyUnit.USER:
        limit = whole.bound.intervals
    charge = charge_for_counts(
        counts,
        noise,
        dataset=dataset,
        unit=unit,
        secret=secret,
        purpose="stream",
        interval=interval,
        intervals_per_unit=limit if limit and limit < slots else None,
        **about,
    )
    called = stream or dataset
    piece = {
        "unit": unit.value,
        "period": charge.period.to_dict(),
        "regions": [str(name) for name in counts.columns],
    }
    panel = {**charge.event["panel"], "stream": called}
    key = _key_in_use(ledger, secret, piece, called, (dataset, *earlier))
    charge = replace(charge, key=key, event={**charge.event, "panel": panel})
    return draw_once(counts, noise, charge, ledger, whole.budget)


def _key_in_use(
    ledger: Ledger, secret: bytes, piece: dict[str, Any], stream: str, names: tuple[str, ...]
) -> str:
    """Return the key of a piece, or the one that an earlier version released it under.

    Earlier versions named the data set in place of the stream, so that two streams of it shared their
    keys; the entry shows which stream the release belongs to.
    """
    for name in names:
        key = release_key(secret, {"stream": name, **piece})
        entry = ledger.find(key)
        if (
            entry is not None
            and entry.state != "voided"
            and stream_of(entry) in (stream, *names[1:])
        ):
            return key
    return release_key(secret, {"one stream": stream, **piece})


def stream_of(entry: Entry) -> str:
    """Return the name of a charge's stream; earlier versions kept it in the recipe only."""
    known = entry.event.get("panel", {}).get("stream")
    given = entry.recipe.get("stream", {}).get("name") or entry.recipe.get("source", {}).get(
        "account"
    )
    return str(known or given or entry.dataset)


def streamed(
    ledger: Ledger,
    stream: str,
    unit: PrivacyUnit,
    after: int = 0,
    *,
    earlier: tuple[str, ...] = (),
) -> tuple[Entry, ...]:
    """Return the charges of one stream that were not given back, oldest first.

    Args:
        ledger: where they are.
        stream: its name; other streams of the same data set are not looked at.
        unit: privacy unit.
        after: only those after this number.
        earlier: names that it had before.
    """
    return tuple(
        entry
        for entry in ledger.entries(None, unit, after=after)
        if entry.purpose == "stream"
        and entry.state != "voided"
        and stream_of(entry) in (stream, *earlier)
    )


def give_back(ledger: Ledger, entries: tuple[Entry, ...]) -> None:
    """Void reservations that were never committed: no noise can have been drawn for them."""
    for entry in entries:
        with ledger.hold(entry.key):
            if ledger.entry(entry.id).state == "reserved":
                ledger.void(entry)
