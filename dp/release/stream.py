"""Streamed counts: every interval is released once as it comes, under one guarantee for all of them.

The noise is calibrated for everything that one unit can ever be counted in (a day's intervals for
`user-day`, what the budget is to last for `user`), and the same on every count. Where sharing offsets
makes it smaller, the first piece of a group is charged for all of it (`dp.release.stream_groups`).

Independent noise is charged piece by piece, with the intervals of a unit that each holds, so that the
ledger's total reaches what was promised when all of a unit's intervals are out, and not before. Pieces
are adaptive: what the later ones hold is not known when the first are drawn, which composition of
Gaussians allows (Dong, Roth, Su 2022).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from dp.budget import Budget
from dp.ledger import Ledger
from dp.mechanisms.count_noise import CountNoise, calibrate
from dp.mechanisms.design import Noise, least_noise
from dp.mechanisms.kept_offsets import can_be_kept
from dp.mechanisms.offset_noise import OffsetNoise
from dp.release.panel import Release, charge_for_counts, draw_once, period_of
from dp.release.stream_entries import group_at, key_in_use
from dp.release.stream_groups import charged_noise, entries_of, release_first, release_further
from dp.unit.contribution import derive_bound
from dp.unit.contribution_set import ContributionSet
from dp.unit.privacy_unit import MONDAY, PrivacyUnit, crosses_borders, intervals_of

_EVER = 10**9
"""A number of intervals that only the length of the unit bounds."""


def stream_noise(
    budget: Budget,
    unit: PrivacyUnit,
    *,
    lasts: int | None,
    regions: int,
    interval: timedelta,
    start: datetime | None = None,
    ever: int | None = None,
    parents: tuple[int, ...] = (),
    independent: bool = False,
    **bounds: Any,
) -> tuple[Noise, tuple[str, ...]]:
    """Return the noise for a stream, and why one unit can change no more than it covers.

    It is the noise of least variance: counts of a region share an offset within one unit's time, unless
    an interval can belong to two units, or too little is gained.

    Args:
        budget: for all that is ever released about one unit.
        unit: privacy unit.
        lasts: intervals that the budget is to last; needed for `user`, whose records never end.
        regions: number of regions.
        interval: length of one.
        start: of any interval, by the clock that days and weeks are counted by; by default the worst.
        ever: G, the most different regions that one unit is ever counted in, if declared.
        parents: as of `ContributionSet`.
        independent: whether to draw every count's noise by itself, whatever is gained by sharing.
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
    bound, reasons = derive_bound(
        unit, observed=observed, interval=interval, regions=regions, start=start, **bounds
    )
    contribution = ContributionSet(bound, regions, ever or 0, parents)
    if independent or crosses_borders(unit, interval=interval, start=start):
        return calibrate(budget, bound), reasons
    cells = intervals_of(unit, observed=observed, interval=interval, start=start)
    noise = least_noise(budget, contribution, per=unit, cells=cells)
    if isinstance(noise, OffsetNoise) and not can_be_kept(noise):
        return calibrate(budget, bound), reasons
    return noise, reasons


def pieces(
    times: pd.DatetimeIndex,
    interval: timedelta,
    unit: PrivacyUnit,
    borders: Iterable[datetime] = (),
) -> tuple[slice, ...]:
    """Cut new intervals into pieces so that no unit is charged for more intervals than it has.

    A partial day or week is a piece of its own; whole ones are kept together. An interval across a
    border is a piece of its own, and so is each run of intervals between such borders.

    Args:
        times: start of each interval, regular.
        interval: length of one.
        unit: privacy unit.
        borders: further moments to cut at, such as the end of a `user`'s group.
    """
    marks = sorted({int(times.searchsorted(pd.Timestamp(border))) for border in borders})
    return tuple(
        slice(part.start + start, part.start + end)
        for part in _by_unit(times, interval, unit)
        for start, end in pairwise(
            [
                0,
                *(mark - part.start for mark in marks if part.start < mark < part.stop),
                part.stop - part.start,
            ]
        )
    )


def _by_unit(times: pd.DatetimeIndex, interval: timedelta, unit: PrivacyUnit) -> tuple[slice, ...]:
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
    whole: Noise,
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
        counts: raw counts, [T, R]; rows of NaN where not observed, at least one that is;
            one of `pieces`.
        whole: the stream's noise; its budget is the cap, beside the account's own. A group that has
            begun goes on with the noise that it was charged for.
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
        SeedGoneError: the offsets of the piece's group are not kept any more; nothing was drawn.
        ReleaseLostError: with shared offsets: it was charged and lost before, and is not drawn again.
    """
    called, limit = stream or dataset, intervals_per_unit
    slots = intervals_of(unit, observed=_EVER, interval=interval, start=counts.index[0])
    if limit is None and unit is not PrivacyUnit.USER:
        limit = whole.bound.intervals
    noise = whole
    if isinstance(whole, CountNoise):
        noise = piece_noise(whole, counts, unit, interval)
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
    piece = {
        "unit": unit.value,
        "period": charge.period.to_dict(),
        "regions": [str(name) for name in counts.columns],
    }
    panel = {**charge.event["panel"], "stream": called}
    with ledger.hold(f"groups of stream {called}"):
        key = key_in_use(ledger, secret, piece, called, (dataset, *earlier))
        charge = replace(charge, key=key, event={**charge.event, "panel": panel})
        entries = entries_of(ledger, called, unit, earlier)
        group = group_at(entries, charge.period)
        if group is not None and group.key != key:
            return release_further(counts, group, charge, ledger, secret)
        if group is not None:  # once more: its own noise, whatever the recipe says by now
            noise = charged_noise(group)
        if isinstance(noise, OffsetNoise):
            return release_first(counts, noise, charge, ledger, secret, entries, whole.budget)
    return draw_once(counts, noise, charge, ledger, whole.budget)
