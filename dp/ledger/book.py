"""Charges: written and committed before noise is drawn, kept whatever happens afterwards."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, create_engine, event, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from dp import composition
from dp.budget import BudgetRefused
from dp.ledger.tables import Base, EntryRow
from dp.unit import Unit, parse_unit


@dataclass(frozen=True)
class Charge:
    """What is about to be spent.

    Attributes:
        key: idempotency key of the release.
        account: the data set by name; everything spent on an account adds up.
        fingerprint: keyed fingerprint of the panel.
        unit: privacy unit.
        epsilon: epsilon of this release at `delta`.
        delta: delta.
        rho: the same as ρ-zCDP.
        event: the mechanism with its parameters, enough to account it again.
        purpose: what the release is for.
    """

    key: str
    account: str
    fingerprint: str
    unit: Unit
    epsilon: float
    delta: float
    rho: float
    event: dict[str, Any]
    purpose: str


@dataclass(frozen=True)
class Entry(Charge):
    """A charge in the ledger, with its number, time (UTC) and state."""

    id: int
    time: str
    state: str


class Ledger:
    """The entries of one SQLite database."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        Base.metadata.create_all(self._engine)

    def charge(self, charge: Charge, *, cap: float | None = None) -> Entry:
        """Write a charge and commit it; only then may noise be drawn.

        Args:
            charge: what is about to be spent.
            cap: the largest total epsilon, at the charge's delta, of the account for this unit.

        Raises:
            BudgetRefused: the total would pass the cap; nothing is written.
        """
        with Session(self._engine) as session, session.begin():
            if cap is not None:
                _within(cap, charge, _entries(session, charge.account, charge.unit))
            row = EntryRow(
                **{**asdict(charge), "unit": charge.unit.value},
                neighbours=charge.unit.neighbours,
                time=datetime.now(UTC).isoformat(timespec="seconds"),
                state="charged",
            )
            session.add(row)
            session.flush()
            return _entry(row)

    def released(self, entry: Entry) -> None:
        """Note that the release of an entry has been kept and can be returned again."""
        with Session(self._engine) as session, session.begin():
            session.execute(
                update(EntryRow).where(EntryRow.id == entry.id).values(state="released")
            )

    def find(self, key: str) -> Entry | None:
        """The latest entry under an idempotency key."""
        with Session(self._engine) as session:
            query = select(EntryRow).where(EntryRow.key == key).order_by(EntryRow.id.desc())
            row = session.scalars(query).first()
            return _entry(row) if row else None

    def entries(self, account: str, unit: Unit) -> tuple[Entry, ...]:
        """Everything charged to an account for one unit, oldest first."""
        with Session(self._engine) as session:
            return _entries(session, account, unit)

    def spent(self, account: str, unit: Unit, delta: float) -> float:
        """Epsilon at `delta` of everything charged to an account for one unit, composed."""
        return total_epsilon(self.entries(account, unit), delta)


def total_epsilon(entries: tuple[Charge, ...], delta: float) -> float:
    """Epsilon at `delta` of several releases together (`dp.composition`)."""
    return composition.total_epsilon([entry.event for entry in entries], delta)


def _within(cap: float, charge: Charge, before: tuple[Entry, ...]) -> None:
    """Refuse a charge that would take the total past the cap."""
    if total_epsilon((*before, charge), charge.delta) <= cap * (1 + 1e-9):
        return
    events = [entry.event for entry in before]
    raise BudgetRefused(
        asked=charge.epsilon,
        spent=total_epsilon(before, charge.delta),
        left=composition.largest_fitting(cap, charge.event, events, charge.delta),
        account=charge.account,
        terms=f"unit {charge.unit.value}, delta {charge.delta:g}, {charge.unit.neighbours}, "
        f"cap {cap:g}",
    )


def _entries(session: Session, account: str, unit: Unit) -> tuple[Entry, ...]:
    query = (
        select(EntryRow)
        .where(EntryRow.account == account, EntryRow.unit == unit.value)
        .order_by(EntryRow.id)
    )
    return tuple(_entry(row) for row in session.scalars(query))


def _entry(row: EntryRow) -> Entry:
    return Entry(
        id=row.id,
        time=row.time,
        state=row.state,
        key=row.key,
        account=row.account,
        fingerprint=row.fingerprint,
        unit=parse_unit(row.unit),
        epsilon=row.epsilon,
        delta=row.delta,
        rho=row.rho,
        event=row.event,
        purpose=row.purpose,
    )


def _engine(url: str) -> Engine:
    """An engine whose transactions take SQLite's write lock at once.

    Reading what was spent and writing the new charge must be one step: with SQLite's usual deferred
    transactions two processes could both read, and then both write.
    """
    if make_url(url).get_backend_name() != "sqlite":
        raise ValueError(
            f"the ledger keeps to SQLite for now, got {make_url(url).render_as_string()}; "
            "unset VEILCAST_DATABASE_URL"
        )
    engine = create_engine(url, connect_args={"timeout": 60})

    @event.listens_for(engine, "connect")
    def _no_implicit_begin(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
