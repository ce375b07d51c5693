"""Charges: reserved within the cap, committed before noise is drawn, kept whatever happens after."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from dataclasses import asdict
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dp.budget import Budget
from dp.composition import Total
from dp.errors import LedgerError
from dp.ledger import entries, log, totals
from dp.ledger.database import Database
from dp.ledger.refusal import refusal
from dp.ledger.tables import AccountRow, LogRow, ReleaseRow
from dp.ledger.values import Account, Charge, Entry
from dp.permit import _LEDGER, Permit
from dp.seen import seen_by
from dp.unit import Unit, parse_unit

STATES = ("reserved", "committed", "released", "voided")


class Ledger:
    """The ledger in one database.

    Args:
        url: SQLAlchemy URL of a SQLite or PostgreSQL database.

    Raises:
        LedgerError: the database cannot be used.
    """

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.hold = self.database.hold

    def reserve(self, charge: Charge, *, cap: Budget | None = None) -> Entry:
        """Set budget aside; every unit of the data set that has a cap is looked at.

        Args:
            charge: what is about to be spent.
            cap: a cap for the charge's unit beside the account's own; the smaller one counts.

        Returns:
            The entry; the same one again if the key is reserved already.

        Raises:
            BudgetRefused: a total would pass its cap; nothing is written.
            LedgerError: the key has been committed already, or the population is another one.
        """
        with self.database.writing() as session:
            found = entries.find(session, charge.key)
            if found is not None and found.state == "reserved":
                return found
            if found is not None and found.state != "voided":
                raise LedgerError(f"entry {found.id} has this key already and is {found.state}")
            dataset = _known_as(session, charge)
            own = _open(session, dataset, charge.unit, charge.population)
            for account in _accounts(session, dataset):
                caps = [account.cap, cap if account.id == own.id else None]
                _add(session, account, charge, [one for one in caps if one is not None])
            row = log.append(
                session,
                "reserved",
                entries.body_of(charge, dataset),
                account=own.id,
                key=charge.key,
                fingerprint=charge.fingerprint,
            )
            return entries.entry_of(session, row)

    def commit(self, entry: Entry, mark: str | None = None) -> Permit:
        """Make a reservation final; from here on noise may have been drawn.

        Args:
            entry: reserved.
            mark: of the seed that all of the noise will come from (`dp.seed`); None without one.
        """
        self._move(entry, "committed", {} if mark is None else {"mark": mark}, after="reserved")
        return Permit(entry.id, entry.key, entry.event, by=_LEDGER)

    def repeat(self, entry: Entry, mark: str) -> Permit:
        """Leave to draw the very numbers of a committed entry once more; its release was lost.

        Raises:
            LedgerError: they came from another seed, or there is a release.
        """
        if entry.state != "committed" or self.mark(entry) != mark:
            raise LedgerError(
                f"entry {entry.id} is {entry.state}; only noise from the same seed can be drawn again"
            )
        return Permit(entry.id, entry.key, entry.event, by=_LEDGER)

    def mark(self, entry: Entry) -> str | None:
        """Mark of the seed that a committed entry's noise comes from; None without one."""
        with self.database.reading() as session:
            query = select(LogRow.body).where(LogRow.entry == entry.id, LogRow.kind == "committed")
            body = session.scalars(query).first()
            return json.loads(body).get("mark") if body else None

    def void(self, entry: Entry) -> None:
        """Give a reservation back; only before it is committed, when no noise can have been drawn."""
        with self.database.writing() as session:
            _step(session, entry, "voided", {}, after="reserved")
            for account in _accounts(session, entry.dataset):
                _rebuild(session, account)

    def release(self, permit: Permit, content: bytes) -> None:
        """Keep what was released, and note that it can be returned, in one transaction."""
        digest = hashlib.sha256(content).hexdigest()
        with self.database.writing() as session:
            row = session.get(LogRow, permit.entry)
            assert row is not None  # noqa: S101  (a permit is made from an entry)
            _step(
                session,
                entries.entry_of(session, row),
                "released",
                {"sha256": digest},
                after="committed",
            )
            session.add(ReleaseRow(entry=permit.entry, content=content))

    def released(self, key: str) -> bytes:
        """What was released under a key.

        Raises:
            LedgerError: nothing was, or it is no longer what was released.
        """
        with self.database.reading() as session:
            entry = entries.find(session, key)
            kept = session.get(ReleaseRow, entry.id) if entry else None
            if kept is None:
                raise LedgerError(
                    f"{self.database.name} has no release {key[:12]}; train again (the same request "
                    "is charged again only if its release is not there)"
                )
            query = select(LogRow.body).where(LogRow.entry == kept.entry, LogRow.kind == "released")
            noted = json.loads(session.scalars(query).one())["sha256"]
            if hashlib.sha256(kept.content).hexdigest() != noted:
                raise LedgerError(
                    f"the release of entry {kept.entry} is not what was kept: {self.database.name} was "
                    "damaged or changed. Put a copy of the database back, or make another release "
                    "(privacy.draw), which is charged"
                )
            return kept.content

    def find(self, key: str) -> Entry | None:
        """The entry under an idempotency key."""
        with self.database.reading() as session:
            return entries.find(session, key)

    def entry(self, number: int) -> Entry:
        """The entry of a number."""
        with self.database.reading() as session:
            row = session.get(LogRow, number)
            if row is None or row.kind != "reserved":
                raise LedgerError(f"{self.database.name} has no entry {number}")
            return entries.entry_of(session, row)

    def entries(
        self, dataset: str | None = None, unit: Unit | None = None, *, after: int = 0
    ) -> tuple[Entry, ...]:
        """Entries, oldest first; of one data set, of one unit, and after a number, if given."""
        with self.database.reading() as session:
            return tuple(
                entry
                for entry in entries.all_entries(session, after)
                if dataset in (None, entry.dataset) and unit in (None, entry.unit)
            )

    def accounts(self) -> tuple[Account, ...]:
        """All accounts, by data set."""
        with self.database.reading() as session:
            return _accounts(session, None)

    def account(self, dataset: str, unit: Unit) -> Account:
        """One account.

        Raises:
            LedgerError: there is none.
        """
        with self.database.reading() as session:
            return _the_account(session, dataset, unit)

    def spent(self, dataset: str, unit: Unit, delta: float) -> float:
        """Epsilon at `delta` of everything charged to a data set, for the most affected unit.

        Charges for other units are counted as they look to this one (`dp.seen`).
        """
        with self.database.reading() as session:
            found = [one for one in _accounts(session, dataset) if one.unit == unit]
            if found:
                return totals.epsilon(totals.load(session, found[0]), delta)
            made_up = Account(0, dataset, unit, None, None)
            charges = _live(entries.all_entries(session), dataset)
            return totals.epsilon(totals.of_charges(made_up, charges), delta)

    def worst(self, account: Account) -> list[Total]:
        """What has been spent on the most affected units, as curves."""
        with self.database.reading() as session:
            return list(totals.largest(totals.load(session, account).values()))

    def set_cap(
        self, dataset: str, unit: Unit, cap: Budget | None, *, because: str = "", new: bool = False
    ) -> Account:
        """Change the cap of an account; the log keeps the old one.

        Args:
            dataset: name of the data set.
            unit: privacy unit.
            cap: the new cap; None for none.
            because: the reason, for the log.
            new: whether the data set may be one that nothing was charged to yet.

        Raises:
            LedgerError: no such account, or more than the cap has been spent.
        """
        with self.database.writing() as session:
            if not new and not _accounts(session, dataset):
                _the_account(session, dataset, unit)
            account = _open(session, dataset, unit, None)
            stretches = totals.load(session, account)
            if cap is not None and not all(
                one.within(cap) for one in totals.largest(stretches.values())
            ):
                spent = totals.epsilon(stretches, cap.delta)
                if spent == math.inf:
                    raise LedgerError(
                        f"{dataset} can promise {unit.value} nothing any more, at any epsilon, delta "
                        f"{cap.delta:g} ({unit.neighbours}): what was released for smaller units tells "
                        "too much. `veilcast budget history` has it; no cap was set"
                    )
                raise LedgerError(
                    f"{dataset}, {unit.value} has spent epsilon {spent:.6g} at delta {cap.delta:g} "
                    f"({unit.neighbours}); a cap of {cap.epsilon:g} is below that. Choose at least "
                    "what is spent: it cannot be taken back"
                )
            row = session.get_one(AccountRow, account.id)
            row.cap_epsilon, row.cap_delta = (cap.epsilon, cap.delta) if cap else (None, None)
            body = {"cap": asdict(cap) if cap else None, "because": because}
            log.append(session, "cap", body, account=account.id)
            return _account(row)

    def head(self) -> str:
        """Hash of the last line of the log: who notes it can tell later whether any was changed."""
        with self.database.reading() as session:
            query = select(LogRow.hash).order_by(LogRow.seq.desc()).limit(1)
            return session.scalars(query).first() or log.START

    def _move(self, entry: Entry, state: str, body: dict[str, Any], *, after: str) -> None:
        with self.database.writing() as session:
            _step(session, entry, state, body, after=after)


def _live(entries: list[Entry], dataset: str) -> list[Entry]:
    return [one for one in entries if one.dataset == dataset and one.state != "voided"]


def _step(session: Session, entry: Entry, state: str, body: dict[str, Any], *, after: str) -> None:
    row = session.get_one(LogRow, entry.id)
    now = entries.entry_of(session, row).state
    if now != after:
        raise LedgerError(f"entry {entry.id} is {now}; only what is {after} can be {state}")
    log.append(session, state, body, account=row.account, entry=entry.id)


def _known_as(session: Session, charge: Charge) -> str:
    """The name that the data set has in the ledger: a copy under another name is no new budget."""
    query = (
        select(AccountRow.dataset)
        .join(LogRow, LogRow.account == AccountRow.id)
        .where(LogRow.fingerprint == charge.fingerprint)
        .order_by(LogRow.seq)
        .limit(1)
    )
    return session.scalars(query).first() or charge.dataset


def _accounts(session: Session, dataset: str | None) -> tuple[Account, ...]:
    query = select(AccountRow).order_by(AccountRow.dataset, AccountRow.id)
    if dataset is not None:
        query = query.where(AccountRow.dataset == dataset)
    return tuple(_account(row) for row in session.scalars(query))


def _account(row: AccountRow) -> Account:
    cap = None
    if row.cap_epsilon is not None and row.cap_delta is not None:
        cap = Budget(row.cap_epsilon, row.cap_delta)
    return Account(row.id, row.dataset, parse_unit(row.unit), row.population, cap)


def _the_account(session: Session, dataset: str, unit: Unit) -> Account:
    found = _accounts(session, dataset)
    for account in found:
        if account.unit == unit:
            return account
    if found:
        units = ", ".join(account.unit.value for account in found)
        raise LedgerError(f"{dataset} has no account for unit {unit.value}; it has {units}")
    names = sorted({account.dataset for account in _accounts(session, None)})
    close = difflib.get_close_matches(dataset, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(names) or 'none yet'}"
    raise LedgerError(
        f"no account of a data set called {dataset!r}; {hint}. A cap before the first charge: --new"
    )


def _open(session: Session, dataset: str, unit: Unit, population: str | None) -> Account:
    """The account, opened if need be with what earlier charges for other units cost this one."""
    found = _accounts(session, dataset)
    for account in found:
        if population and account.population and population != account.population:
            raise LedgerError(
                f"{dataset} is on record with the population {account.population!r}, this run "
                f"declares {population!r}; other people are another data set: give it another name "
                "(source.account)"
            )
    known = next((one.population for one in found if one.population), population)
    for account in found:
        if account.unit == unit:
            return account
    body = {"dataset": dataset, "unit": unit.value, "neighbours": unit.neighbours,
            "population": known}  # fmt: skip
    row = log.append(session, "account", body, account=None)
    session.add(
        AccountRow(id=row.seq, dataset=dataset, unit=unit.value, population=known,
                   cap_epsilon=None, cap_delta=None)
    )  # fmt: skip
    session.flush()
    account = Account(row.seq, dataset, unit, known, None)
    if found:
        _rebuild(session, account)
    return account


def _add(session: Session, account: Account, charge: Charge, caps: list[Budget]) -> None:
    """Add a charge to an account's totals, unless a cap would be passed."""
    reach = charge.period.reach(account.unit)
    event = seen_by(account.unit, charge.event, charge.unit)
    before = totals.load(session, account, reach)
    after, touched = totals.add(before, reach, event)
    for cap in caps:
        if not all(total.plus(event).within(cap) for total in totals.largest(touched.values())):
            raise refusal(account, charge, event, touched, cap)
    totals.replace(session, account, before, after)


def _rebuild(session: Session, account: Account) -> None:
    """Totals from all entries of the data set."""
    charges = _live(entries.all_entries(session), account.dataset)
    before = totals.load(session, account)
    totals.replace(session, account, before, totals.of_charges(account, charges))
