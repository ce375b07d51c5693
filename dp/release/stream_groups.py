"""Pieces of a stream whose counts share offsets: charged once for each group, drawn piece by piece.

The first piece of a group (a calendar day, a week, or what the budget of a `user` is to last) is charged
for all of it. What is released of a group is post-processing of the whole of it, so that no part costs
more, whatever comes or does not come. Further pieces cost nothing and get the same offsets, from a seed
that is kept until the group is over. Counts may depend on what was released before; which of them a
person is in may not (docs/concepts/shared-offsets.md).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp.budget import Budget
from dp.composition.total import OFFSETS, PIECE
from dp.errors import SeedGoneError
from dp.ledger import Charge, Entry, Ledger
from dp.ledger.groups import span_of
from dp.ledger.identity import release_key
from dp.mechanisms.design import Noise
from dp.mechanisms.kept_offsets import draw_piece, offsets_of, piece_event, sealed_seed, unseal
from dp.mechanisms.offset_noise import OffsetNoise, noise_of
from dp.permit import Permit
from dp.release.idempotent import Seeds
from dp.release.panel import Release, drawn_once, groups_of
from dp.release.stream_entries import streamed
from dp.unit.period import Period
from dp.unit.privacy_unit import PrivacyUnit


def charged_noise(group: Entry) -> OffsetNoise:
    """Return the noise that a group, or a piece of one, was charged for."""
    epsilon = group.event.get("epsilon", group.epsilon)
    return noise_of(group.event, Budget(epsilon * (1 + 1e-9), group.delta))


def period_of_group(noise: OffsetNoise, piece: Period) -> Period:
    """Return the period of the groups that a piece is the first of: whole days or weeks.

    For `user` it begins with the piece, and is as long as the budget is to last.
    """
    if noise.per is PrivacyUnit.USER:
        return replace(piece, end=piece.start + noise.cells * piece.interval)
    start, end = (
        datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
        for seconds in piece.unit_range(noise.per)
    )
    return replace(piece, start=start, end=end)


def release_first(
    counts: pd.DataFrame,
    noise: OffsetNoise,
    charge: Charge,
    ledger: Ledger,
    secret: bytes,
    before: tuple[Entry, ...],
    cap: Budget | None,
) -> Release:
    """Release the first piece of a group, or several groups at once, charged for all of their counts.

    Args:
        counts: raw counts, [T, R].
        noise: the stream's.
        charge: as if the piece were all; its period is the piece's.
        ledger: where the charge is written.
        secret: the installation's key.
        before: earlier entries of the stream, whose groups are over.
        cap: beside the account's own.

    Raises:
        BudgetRefused: a total would pass its cap; nothing was drawn.
        ReleaseLostError: it was charged and lost before; the group goes on without it.
    """
    piece = charge.period
    period = period_of_group(noise, piece)
    if piece.end > period.end:
        raise ValueError(f"expected a piece to end with its group, by {period.end}")
    slots = (period.end - period.start) // period.interval
    panel = {**_panel(counts, charge, secret), "observed": slots}
    charge = replace(charge, period=period, event={**noise.event(), "panel": panel})
    kept = set(ledger.seeds_kept())
    over = tuple(entry.id for entry in before if entry.id in kept and entry.key != charge.key)
    values = counts.to_numpy(dtype=float)
    if piece.end == period.end:  # nothing of them can come any more: their offsets need no seed
        groups = groups_of(pd.DatetimeIndex(counts.index), noise.per)
        return drawn_once(
            counts,
            lambda permit: noise.draw(values, permit, groups),
            charge,
            ledger,
            cap=cap,
            again=False,
            seeds=Seeds(begun=over),
        )
    sealed = sealed_seed()
    seed = unseal(sealed, secret)

    def draw(permit: Permit) -> NDArray[np.float64]:
        return draw_piece(noise, values, permit, noise.event(), offsets_of(noise, seed))

    return drawn_once(
        counts,
        draw,
        charge,
        ledger,
        cap=cap,
        again=False,
        mark=seed.mark(secret),
        seeds=Seeds(keep=sealed, begun=over),
    )


def release_further(
    counts: pd.DataFrame, group: Entry, charge: Charge, ledger: Ledger, secret: bytes
) -> Release:
    """Release a further piece of a group that was charged; it costs nothing more.

    Raises:
        LedgerError: the piece is no part of what was charged; nothing was drawn.
        SeedGoneError: the offsets are not kept any more, or not by this installation.
        ReleaseLostError: it was drawn and lost before; the group goes on without it.
    """
    noise = charged_noise(group)
    panel = _panel(counts, charge, secret)
    event = piece_event(noise, group.id, group.epsilon)
    charge = replace(charge, epsilon=0.0, event={**event, "panel": panel})
    _check_secret(ledger, group, secret)
    values = counts.to_numpy(dtype=float)

    def draw(permit: Permit) -> NDArray[np.float64]:
        sealed = ledger.seed(group)
        if sealed is None:
            raise SeedGoneError(f"the offsets of entry {group.id} went while a piece was released")
        return draw_piece(noise, values, permit, event, offsets_of(noise, unseal(sealed, secret)))

    done = (group.id,) if charge.period.end == group.period.end else ()
    return drawn_once(counts, draw, charge, ledger, again=False, seeds=Seeds(done=done))


def _check_secret(ledger: Ledger, group: Entry, secret: bytes) -> None:
    """Refuse offsets other than those that the group's first counts have."""
    sealed = ledger.seed(group)
    if sealed is not None and ledger.mark(group) != unseal(sealed, secret).mark(secret):
        raise SeedGoneError(
            f"the offsets of entry {group.id} cannot be read with this installation's secret "
            "(var/secret): the stream was begun with another one. Put that one back; nothing was drawn "
            "or charged"
        )


def _panel(counts: pd.DataFrame, charge: Charge, secret: bytes) -> dict[str, Any]:
    piece = {"start": charge.period.start.isoformat(), "end": charge.period.end.isoformat()}
    columns = release_key(secret, {"columns": [str(name) for name in counts.columns]})
    return {**charge.event["panel"], "piece": piece, "columns": columns}


def shares_offsets(entry: Entry) -> bool:
    """Return whether an entry is of a piece whose counts share offsets."""
    return entry.event["mechanism"] in (OFFSETS, PIECE)


def lost_spans(entries: tuple[Entry, ...]) -> list[tuple[datetime, datetime]]:
    """Return the pieces that were charged under shared offsets, and lost with their process.

    Their noise may have been drawn, so that they are never drawn again.
    """
    return [
        span_of(entry.event)
        for entry in entries
        if entry.state == "committed" and shares_offsets(entry)
    ]


def group_ends(
    noise: Noise, entries: tuple[Entry, ...], start: datetime, interval: timedelta
) -> list[datetime]:
    """Return where groups end that no calendar ends: a `user`'s, begun or about to begin.

    Args:
        noise: the stream's.
        entries: of the stream.
        start: of the first new interval.
        interval: length of one.
    """
    ends = [
        entry.period.end
        for entry in entries
        if entry.event["mechanism"] == OFFSETS and entry.period.end > start
    ]
    if not ends and isinstance(noise, OffsetNoise) and noise.per is PrivacyUnit.USER:
        ends.append(start + noise.cells * interval)
    return ends


def entries_of(
    ledger: Ledger, stream: str, unit: PrivacyUnit, earlier: tuple[str, ...]
) -> tuple[Entry, ...]:
    """Return the entries of a stream that are reserved no longer, oldest first."""
    return tuple(
        entry
        for entry in streamed(ledger, stream, unit, earlier=earlier)
        if entry.state != "reserved"
    )
