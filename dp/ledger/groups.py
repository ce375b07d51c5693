"""Groups of a stream: one charge for all counts that share offsets, and pieces that cost nothing more.

The first piece is charged for the whole group, as if it were released at once. A further piece costs
nothing, provided that it is part of what was charged: this is where that is checked, so that nobody
gets noise for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from dp.charge import Charge
from dp.composition.total import OFFSETS, PIECE
from dp.errors import LedgerError, SeedGoneError
from dp.ledger import entries, seeds
from dp.ledger.tables import LogRow
from dp.ledger.values import Entry

_SAME = (
    *("sigma", "offset", "grid", "per", "cells"),
    *("intervals", "regions", "weight", "of", "ever", "parents"),
)
"""Fields in which the event of a piece agrees with that of its group's charge."""
_SAME_PANEL = ("stream", "columns", "interval_seconds", "regions")


def check(session: Session, charge: Charge, family: Iterable[str]) -> None:
    """Check that a piece may be released under the charge for its group.

    Args:
        session: that writes.
        charge: any; only those of further pieces are looked at.
        family: names of the charge's data set.

    Raises:
        LedgerError: it is no part of what was charged; nothing is written.
        SeedGoneError: the seed of the group is not kept any more; nothing is written.
    """
    if charge.event["mechanism"] != PIECE:
        return
    number = int(charge.event["group"])
    row = session.get(LogRow, number)
    group = entries.entry_of(session, row) if row is not None and row.kind == "reserved" else None
    if group is not None and group.dataset not in family:
        group = None
    others = entries.all_entries(session, number - 1) if group is not None else []
    wrong = objection(charge, group, others)
    if wrong:
        raise LedgerError(f"a piece of a stream is not covered by entry {number}: {wrong}")
    if seeds.find(session, number) is None:
        raise SeedGoneError(
            f"the offsets that the counts of entry {number} share are not kept any more, though "
            f"their group goes on until {group and group.period.end}. No further count of it can be "
            "released: others would show what the offsets hide. Nothing was drawn or charged. The "
            "next group has a seed of its own; for unit user start another stream (stream.name)"
        )


def objection(charge: Charge, group: Entry | None, others: Iterable[Entry]) -> str | None:
    """Return why a piece is no part of what was charged for its group; None if it is.

    Args:
        charge: of the piece.
        group: the charge that it names, if that exists.
        others: entries since then, with or without these two.
    """
    if group is None or group.event["mechanism"] != OFFSETS:
        return "it charged no group of this data set"
    if group.state not in ("committed", "released"):
        return f"it is {group.state}, not committed"
    if group.unit != charge.unit:
        return f"it was for unit {group.unit.value}"
    ours, theirs = charge.event, group.event
    different = [name for name in _SAME if ours.get(name) != theirs[name]]
    panel, charged = ours["panel"], theirs["panel"]
    different += [name for name in _SAME_PANEL if panel.get(name) != charged.get(name)]
    if different:
        return f"it was charged for other counts ({', '.join(different)} differ)"
    start, end = span_of(ours)
    if not group.period.start <= start < end <= group.period.end:
        return f"it was charged for {group.period.start} to {group.period.end}"
    if (start - group.period.start) % group.period.interval:
        return "its intervals are others"
    for other in others:
        mine = other.id == group.id or (
            other.event["mechanism"] == PIECE and other.event["group"] == group.id
        )
        if not mine or other.state == "voided" or other.key == charge.key:
            continue
        first, last = span_of(other.event)
        if start < last and first < end:
            return f"entry {other.id} has intervals of it already"
    return None


def span_of(event: dict[str, Any]) -> tuple[datetime, datetime]:
    """Return start and end of the piece that an event was charged for."""
    piece = event["panel"]["piece"]
    return datetime.fromisoformat(piece["start"]), datetime.fromisoformat(piece["end"])
