"""Entries read from the log: reservations, each with the state that later lines gave it."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dp.charge import Charge
from dp.ledger.tables import LogRow
from dp.ledger.values import Entry
from dp.unit.period import Period
from dp.unit.privacy_unit import parse_unit
from dp.unit.time_grid import UNRECORDED


def all_entries(session: Session, after: int = 0) -> list[Entry]:
    """Return all entries, oldest first; only those after a number, if given."""
    states: dict[int, str] = {}
    for entry, kind in session.execute(
        select(LogRow.entry, LogRow.kind).where(LogRow.entry > after).order_by(LogRow.seq)
    ):
        states[entry] = kind
    rows = session.scalars(
        select(LogRow).where(LogRow.kind == "reserved", LogRow.seq > after).order_by(LogRow.seq)
    )
    return [as_entry(row, states.get(row.seq, "reserved")) for row in rows]


def find(session: Session, key: str) -> Entry | None:
    """Return the entry under an idempotency key."""
    query = select(LogRow).where(LogRow.key == key).order_by(LogRow.seq.desc()).limit(1)
    row = session.scalars(query).first()
    return entry_of(session, row) if row else None


def entry_of(session: Session, row: LogRow) -> Entry:
    """Return the entry that a line opens, with its latest state."""
    query = select(LogRow.kind).where(LogRow.entry == row.seq).order_by(LogRow.seq.desc()).limit(1)
    return as_entry(row, session.scalars(query).first() or "reserved")


def as_entry(row: LogRow, state: str) -> Entry:
    """Return the entry that a line opens, with a known state."""
    body = json.loads(row.body)
    return Entry(
        id=row.seq,
        time=row.time,
        state=state,
        hash=row.hash,
        key=row.key or "",
        fingerprint=row.fingerprint or "",
        dataset=body["dataset"],
        period=Period.from_dict(body["period"]),
        unit=parse_unit(body["unit"]),
        epsilon=body["epsilon"],
        delta=body["delta"],
        event=body["event"],
        purpose=body["purpose"],
        bound=tuple(body["bound"]),
        population=body["population"],
        recipe=body["recipe"],
        aliases=tuple(body.get("aliases", ())),
        sketch=tuple(body.get("sketch", ())),
        timezone=body["timezone"] if "timezone" in body else _clock_before(body["recipe"]),
    )


def body_of(charge: Charge, dataset: str) -> dict[str, Any]:
    """Return the fields of a charge that its line keeps."""
    return {
        "dataset": dataset,
        "called": charge.dataset,
        "period": charge.period.to_dict(),
        "unit": charge.unit.value,
        "neighbours": charge.unit.neighbours,
        "epsilon": charge.epsilon,
        "delta": charge.delta,
        "event": charge.event,
        "purpose": charge.purpose,
        "bound": list(charge.bound),
        "population": charge.population,
        "recipe": charge.recipe,
        "aliases": list(charge.aliases),
        "sketch": list(charge.sketch),
        "timezone": charge.timezone,
    }


def _clock_before(recipe: dict[str, Any]) -> str:
    """Return the clock of a charge made before clocks were recorded, as far as its recipe has it."""
    events = recipe.get("events", {}) if recipe.get("source", {}).get("events") else {}
    zone: str = events.get("timezone", "UTC")
    return UNRECORDED if zone == "UTC" else zone
