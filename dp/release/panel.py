"""Noised panels: charged, drawn once, stored, and returned as stored."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp.budget import Budget
from dp.errors import LedgerError
from dp.ledger import Charge, Entry, Ledger, fingerprint
from dp.ledger.identity import release_key, sketch
from dp.mechanisms.design import Noise, least_noise
from dp.mechanisms.offset_noise import OffsetNoise
from dp.mechanisms.run_design import least_run_noise
from dp.permit import Permit
from dp.release.idempotent import release_once
from dp.unit.contribution_set import ContributionSet
from dp.unit.period import Period
from dp.unit.privacy_unit import MONDAY, PrivacyUnit, crosses_borders, intervals_of
from dp.unit.run_set import RunSet

_WORTH = 0.95
"""Share of the noise of other designs below which noise on runs is worth having."""


@dataclass(frozen=True)
class Release:
    """A noised panel and the ledger's entry for it.

    Attributes:
        counts: noised counts, same index and columns as the raw ones; NaN where not observed.
        entry: the charge.
        fresh: whether noise was drawn now; otherwise the stored release was returned.
    """

    counts: pd.DataFrame
    entry: Entry
    fresh: bool


def charge_for_counts(
    counts: pd.DataFrame,
    noise: Noise,
    *,
    dataset: str,
    unit: PrivacyUnit,
    secret: bytes,
    draw: int = 0,
    purpose: str = "panel",
    interval: timedelta | None = None,
    intervals_per_unit: int | None = None,
    regions_ever: int | None = None,
    runs_per_day: int | None = None,
    enforced: bool = False,
    **about: Any,
) -> Charge:
    """Return the charge for releasing noised counts; nothing is written.

    Two releases are the same if they agree in panel, unit, bound, sigma and `draw`.

    Args:
        counts: raw counts, [T, R], regular in time; rows of NaN where not observed.
        noise: the calibrated mechanism.
        dataset: the data set's name in the ledger.
        unit: privacy unit.
        secret: the installation's key.
        draw: number of an independent draw; every number is charged.
        purpose: what the release is for.
        interval: length of one; by default the smallest step of `counts`.
        intervals_per_unit: K, where a unit can have more intervals than the counts hold of it; by
            default that of the noise, if it is below what the unit has.
        regions_ever: G, where a unit may have been in more regions than it is counted in.
        runs_per_day: r, where a unit may have been in more runs of a day than it is counted in.
        enforced: whether K, G and r were enforced when these very counts were made, and not at the
            source.
        about: further fields of the `Charge`.
    """
    print_of_data = fingerprint(secret, counts)
    period = period_of(counts, interval)
    known = facts(counts, interval)
    slots = intervals_of(
        unit, observed=known["observed"], interval=period.interval, start=period.start
    )
    if intervals_per_unit is None and noise.bound.intervals < slots:
        intervals_per_unit = noise.bound.intervals
    known |= {"intervals_per_unit": intervals_per_unit, "enforced": enforced}
    if regions_ever is not None:
        known["regions_ever"] = regions_ever
    if runs_per_day is not None:
        known["runs_per_day"] = runs_per_day
    identity = {"data": print_of_data, "unit": unit.value, "event": noise.event(), "draw": draw}
    return Charge(
        key=release_key(secret, identity),
        dataset=dataset,
        fingerprint=print_of_data,
        period=period,
        unit=unit,
        epsilon=noise.epsilon,
        delta=noise.budget.delta,
        event={**noise.event(), "panel": known},
        purpose=purpose,
        sketch=sketch(secret, counts, period.interval),
        **about,
    )


def release_counts(
    counts: pd.DataFrame,
    noise: Noise,
    *,
    ledger: Ledger,
    cap: Budget | None = None,
    again: bool = True,
    **about: Any,
) -> Release:
    """Noise a panel under a charge; the same request returns the same release at no further cost.

    Args:
        counts: raw counts, [T, R], regular in time; rows of NaN where not observed.
        noise: the calibrated mechanism.
        ledger: where the charge is written.
        cap: a cap for the unit beside the account's own.
        again: whether it may be paid for once more if it was charged before and lost.
        about: further arguments of `charge_for_counts`.

    Raises:
        BudgetRefused: a total would pass its cap; nothing was drawn.
        ReleaseLostError: it was lost, and is not to be paid for again; nothing was charged.
    """
    charge = charge_for_counts(counts, noise, **about)
    return draw_once(counts, noise, charge, ledger, cap, again=again)


def draw_once(
    counts: pd.DataFrame,
    noise: Noise,
    charge: Charge,
    ledger: Ledger,
    cap: Budget | None,
    *,
    again: bool = True,
) -> Release:
    """Return the release of a charge: drawn now, or as it was stored."""

    def draw(permit: Permit) -> NDArray[np.float64]:
        return _noised(counts, noise, permit)

    return drawn_once(counts, draw, charge, ledger, cap=cap, again=again)


def drawn_once(
    counts: pd.DataFrame,
    draw: Callable[[Permit], NDArray[np.float64]],
    charge: Charge,
    ledger: Ledger,
    **terms: Any,
) -> Release:
    """Return the release of a charge: by `draw`, or as it was stored; terms as of `release_once`."""

    def make(permit: Permit) -> bytes:
        noised = draw(permit)
        frame = pd.DataFrame(noised, index=counts.index, columns=counts.columns)
        buffer = io.BytesIO()
        frame.to_parquet(buffer)
        return buffer.getvalue()

    release = release_once(ledger, charge, make, **terms)
    released = panel_of(release.content)
    released.index, released.columns = counts.index, counts.columns
    return Release(released, release.entry, release.fresh)


def _noised(counts: pd.DataFrame, noise: Noise, permit: Permit) -> NDArray[np.float64]:
    values = counts.to_numpy(dtype=float)
    if isinstance(noise, OffsetNoise):
        return noise.draw(values, permit, groups_of(pd.DatetimeIndex(counts.index), noise.per))
    return noise.draw(values, permit)


def design(
    budget: Budget,
    contribution: ContributionSet,
    *,
    unit: PrivacyUnit,
    observed: NDArray[np.bool_],
    times: pd.DatetimeIndex,
    interval: timedelta,
    runs_per_day: int | None = None,
) -> Noise:
    """Return the noise of least variance for a panel; nothing but its calendar is read.

    Offsets are shared within one unit's time. Where an interval can belong to two of them, noise is
    independent.

    Args:
        budget: what may be spent.
        contribution: what one unit can add.
        unit: privacy unit.
        observed: mask of the intervals that are noised, [T].
        times: start of each interval, by the clock that days and weeks are counted by.
        interval: length of one.
        runs_per_day: r, where people were counted in so many runs of consecutive intervals of a day
            and whole runs were cut in counting.

    Raises:
        ValueError: the nesting of regions is too involved to be searched.
    """
    crossed = crosses_borders(unit, interval=interval, start=times[0].to_pydatetime())
    sizes = np.unique(groups_of(times[observed], unit), return_counts=True)[1]
    noise = least_noise(
        budget, contribution, per=None if crossed else unit, cells=int(sizes.max(initial=1))
    )
    bound = contribution.bound
    if runs_per_day is None or crossed or (bound.regions, bound.weight) != (1, 1):
        return noise
    runs = RunSet(bound, contribution.regions, runs_per_day * days_of(times[observed], unit))
    in_runs = least_run_noise(budget, runs, int(observed.sum()))
    # a design that is hardly better for single counts would be worse for sums of them
    return in_runs if in_runs.deviation <= noise.deviation * _WORTH else noise


def days_of(times: pd.DatetimeIndex, unit: PrivacyUnit) -> int:
    """Return in how many days one unit can be counted at most."""
    days = np.unique(groups_of(times, PrivacyUnit.USER_DAY), return_index=True)[1]
    return int(np.unique(groups_of(times[days], unit), return_counts=True)[1].max(initial=1))


def groups_of(times: pd.DatetimeIndex, unit: PrivacyUnit) -> NDArray[np.int64]:
    """Return the number of the day or week that each interval is in, [T]; 0 for the whole panel."""
    if unit.span is None:
        return np.zeros(len(times), dtype=np.int64)
    return np.asarray((times - pd.Timestamp(MONDAY)) // pd.Timedelta(unit.span), dtype=np.int64)


def panel_of(content: bytes) -> pd.DataFrame:
    """Return the noised counts of a stored release.

    Raises:
        LedgerError: the content is damaged.
    """
    from pyarrow import ArrowException, BufferReader
    from pyarrow.parquet import ParquetFile

    # pandas reads through Arrow's data sets, whose threads can outlive the interpreter and abort it
    # (Arrow #34314, #50482); a file of its own starts none
    try:
        table = ParquetFile(BufferReader(content)).read(use_threads=False)
        frame: pd.DataFrame = table.to_pandas(use_threads=False)
    except (ArrowException, OSError, ValueError, TypeError, KeyError):
        raise LedgerError(
            "the kept release is no panel of counts: it was damaged; `veilcast budget verify` says "
            "which, a copy of the database has it"
        ) from None
    return frame


def period_of(counts: pd.DataFrame, interval: timedelta | None = None) -> Period:
    """Return the period of a panel; a single interval does not tell its length."""
    times = pd.DatetimeIndex(counts.index)
    length = interval if interval is not None else (times[1:] - times[:-1]).min().to_pytimedelta()
    return Period(times[0].to_pydatetime(), times[-1].to_pydatetime() + length, length)


def facts(counts: pd.DataFrame, interval: timedelta | None = None) -> dict[str, Any]:
    """Return the public facts about a panel that its release's cost for other units follows from."""
    return {
        "observed": int(counts.notna().all(axis=1).sum()),
        "interval_seconds": period_of(counts, interval).interval.total_seconds(),
        "regions": len(counts.columns),
    }
