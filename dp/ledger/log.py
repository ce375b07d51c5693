"""The append-only log: each line holds the hash of the line before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dp.ledger.tables import LogRow

START = "0" * 64
"""Stands for the previous hash in the first line."""


def append(
    session: Session,
    kind: str,
    body: dict[str, Any],
    *,
    account: int | None,
    entry: int | None = None,
    key: str | None = None,
    fingerprint: str | None = None,
) -> LogRow:
    """Append a line; for the account that the line opens, give None."""
    last = session.execute(
        select(LogRow.seq, LogRow.hash).order_by(LogRow.seq.desc()).limit(1)
    ).first()
    seq, previous = (last.seq + 1, last.hash) if last else (1, START)
    row = LogRow(
        seq=seq,
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        kind=kind,
        account=seq if account is None else account,
        entry=entry,
        key=key,
        fingerprint=fingerprint,
        body=json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":")),
        previous=previous,
        hash="",
    )
    row.hash = hash_of(row)
    session.add(row)
    session.flush()
    return row


def hash_of(row: LogRow) -> str:
    """Return the SHA-256 of everything in a line but its hash."""
    fields = (
        row.seq,
        row.time,
        row.kind,
        row.account,
        row.entry,
        row.key,
        row.fingerprint,
        row.body,
        row.previous,
    )
    return hashlib.sha256(json.dumps(fields, ensure_ascii=False).encode()).hexdigest()


def breaks(rows: Iterable[LogRow]) -> Iterator[tuple[int, str]]:
    """Yield lines that were changed, moved or removed, and what is wrong."""
    previous, expected = START, 1
    for row in rows:
        if row.seq != expected:
            yield expected, f"line {expected} is missing"
        elif row.previous != previous:
            yield row.seq, "does not follow the line before it"
        elif hash_of(row) != row.hash:
            yield row.seq, "is not what was written"
        previous, expected = row.hash, row.seq + 1
