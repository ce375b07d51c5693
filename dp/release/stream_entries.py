"""Entries of a stream in the ledger: its charges, their keys, and the group that goes on."""

from __future__ import annotations

from typing import Any

from dp.composition.total import COUNTS, OFFSETS
from dp.errors import LedgerError
from dp.ledger import Entry, Ledger
from dp.ledger.identity import release_key
from dp.unit.period import Period
from dp.unit.privacy_unit import PrivacyUnit


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


def stream_of(entry: Entry) -> str:
    """Return the name of a charge's stream; earlier versions kept it in the recipe only."""
    known = entry.event.get("panel", {}).get("stream")
    given = entry.recipe.get("stream", {}).get("name") or entry.recipe.get("source", {}).get(
        "account"
    )
    return str(known or given or entry.dataset)


def is_independent(entries: tuple[Entry, ...]) -> bool:
    """Return whether a stream began with independent noise, with which it then goes on."""
    return bool(entries) and entries[0].event["mechanism"] == COUNTS


def group_at(entries: tuple[Entry, ...], period: Period) -> Entry | None:
    """Return the charge for the group that a piece belongs to; None if it is the first of its group.

    Args:
        entries: of the stream, by `streamed`.
        period: of the piece.

    Raises:
        LedgerError: the piece goes beyond the group.
    """
    for entry in reversed(entries):
        if entry.event["mechanism"] != OFFSETS:
            continue
        if entry.period.start <= period.start < entry.period.end:
            if period.end > entry.period.end:
                raise LedgerError(
                    f"expected a piece of the stream to end by {entry.period.end}, with the group of "
                    f"entry {entry.id}; it goes on until {period.end}"
                )
            return entry
    return None


def give_back(ledger: Ledger, entries: tuple[Entry, ...]) -> None:
    """Void reservations that were never committed: no noise can have been drawn for them."""
    for entry in entries:
        with ledger.hold(entry.key):
            if ledger.entry(entry.id).state == "reserved":
                ledger.void(entry)


def key_in_use(
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
