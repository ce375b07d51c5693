"""The ledger: charges are reserved within the cap, committed before the noise, and never removed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dp.budget import Budget
from dp.charge import Charge
from dp.composition.total import Total
from dp.errors import LedgerError
from dp.ledger import accounts, datasets, entries, groups, log, seeds, totals
from dp.ledger.database import Database
from dp.ledger.tables import AccountRow, LogRow, ReleaseRow
from dp.ledger.values import Account, Entry
from dp.permit import _LEDGER, Permit
from dp.unit.privacy_unit import Unit
from dp.unit.time_grid import TimeGrid

STATES = ("reserved", "committed", "released", "voided")


class Ledger:
    """A ledger in one database.

    Args:
        url: SQLAlchemy URL of a SQLite or PostgreSQL database.

    Raises:
        LedgerError: the database cannot be used.
    """

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.hold = self.database.hold

    def reserve(self, charge: Charge, *, cap: Budget | None = None) -> Entry:
        """Reserve budget for a charge, within the caps of all units of the data set.

        Args:
            charge: what is about to be spent.
            cap: a cap for the charge's unit beside the account's own; the smaller one counts.

        Returns:
            The entry; the existing one if the key is already reserved.

        Raises:
            BudgetRefused: a total would pass its cap; nothing is written.
            LedgerError: the key is already committed, or the population or the clock differs from that
                of earlier charges; or it is a piece of a group that was not charged.
            SeedGoneError: it is a piece of a group whose offsets are not kept any more.
        """
        with self.database.writing() as session:
            entry = entries.find(session, charge.key)
            if entry is not None and entry.state == "reserved":
                return entry
            if entry is not None and entry.state != "voided":
                raise LedgerError(f"entry {entry.id} has this key already and is {entry.state}")
            family, changed, logged = datasets.admit(session, charge)
            groups.check(session, charge, family.names)
            own = accounts.open_account(session, family, charge.unit, charge.population)
            charged = accounts.of(session, family)
            if changed:
                accounts.rebuild(session, charged, family)
            for account in charged:
                candidates = [account.cap, cap if account.id == own.id else None]
                caps = [limit for limit in candidates if limit is not None]
                accounts.add(session, account, charge, family.grid, caps, everywhere=changed)
            row = log.append(
                session,
                "reserved",
                entries.body_of(logged, family.names[0]),
                account=own.id,
                key=charge.key,
                fingerprint=charge.fingerprint,
            )
            return entries.entry_of(session, row)

    def commit(
        self,
        entry: Entry,
        mark: str | None = None,
        *,
        keep: bytes | None = None,
        over: Iterable[int] = (),
    ) -> Permit:
        """Commit a reservation; from here on noise may have been drawn.

        Args:
            entry: reserved.
            mark: of the seed that its noise will come from (`dp.mechanisms.seed`); None without one.
            keep: sealed seed of the group that the entry is charged for, if further pieces may come.
            over: entries whose groups are over; their seeds are destroyed.
        """
        with self.database.writing() as session:
            body = {} if mark is None else {"mark": mark}
            _step(session, entry, "committed", body, after="reserved")
            seeds.destroy(session, over)
            if keep is not None:
                seeds.keep(session, entry.id, keep)
        return Permit(entry.id, entry.key, entry.event, by=_LEDGER)

    def repeat(self, entry: Entry, mark: str) -> Permit:
        """Return a permit to draw the same numbers of a committed entry again, whose release was lost.

        Raises:
            LedgerError: they came from another seed, or the release exists.
        """
        if entry.state != "committed" or self.mark(entry) != mark:
            raise LedgerError(
                f"entry {entry.id} is {entry.state}; only noise from the same seed can be drawn again"
            )
        return Permit(entry.id, entry.key, entry.event, by=_LEDGER)

    def mark(self, entry: Entry) -> str | None:
        """Return the mark of the seed that a committed entry's noise comes from; None without one."""
        with self.database.reading() as session:
            query = select(LogRow.body).where(LogRow.entry == entry.id, LogRow.kind == "committed")
            body = session.scalars(query).first()
            return json.loads(body).get("mark") if body else None

    def seed(self, entry: Entry) -> bytes | None:
        """Return the sealed seed of the group that an entry was charged for; None if there is none."""
        with self.database.reading() as session:
            return seeds.find(session, entry.id)

    def seeds_kept(self) -> tuple[int, ...]:
        """Return the numbers of the entries whose groups have seeds."""
        with self.database.reading() as session:
            return seeds.kept(session)

    def void(self, entry: Entry) -> None:
        """Give a reservation back; only before it is committed, when no noise can have been drawn."""
        with self.database.writing() as session:
            _step(session, entry, "voided", {}, after="reserved")
            family = datasets.find(session, entry.dataset)
            assert family is not None  # noqa: S101  (it was charged)
            accounts.rebuild(session, accounts.of(session, family), family)

    def release(self, permit: Permit, content: bytes, *, over: Iterable[int] = ()) -> None:
        """Store a release and mark its entry as released, in one transaction.

        Args:
            permit: that the noise was drawn under.
            content: what is released.
            over: entries whose groups are over with it; their seeds are destroyed.
        """
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
            seeds.destroy(session, over)

    def released(self, key: str) -> bytes:
        """Return the content that was released under a key.

        Raises:
            LedgerError: nothing was released under it, or the content was changed since.
        """
        with self.database.reading() as session:
            entry = entries.find(session, key)
            release = session.get(ReleaseRow, entry.id) if entry else None
            if release is None:
                raise LedgerError(
                    f"{self.database.name} has no release {key[:12]}; train again (the same request "
                    "is charged again only if its release is not there)"
                )
            query = select(LogRow.body).where(
                LogRow.entry == release.entry, LogRow.kind == "released"
            )
            digest = json.loads(session.scalars(query).one())["sha256"]
            if hashlib.sha256(release.content).hexdigest() != digest:
                raise LedgerError(
                    f"the release of entry {release.entry} is not what was kept: {self.database.name} "
                    "was damaged or changed. Put a copy of the database back, or make another release "
                    "(privacy.draw), which is charged"
                )
            return release.content

    def find(self, key: str) -> Entry | None:
        """Return the entry under an idempotency key."""
        with self.database.reading() as session:
            return entries.find(session, key)

    def entry(self, number: int) -> Entry:
        """Return the entry with a number."""
        with self.database.reading() as session:
            row = session.get(LogRow, number)
            if row is None or row.kind != "reserved":
                raise LedgerError(f"{self.database.name} has no entry {number}")
            return entries.entry_of(session, row)

    def entries(
        self, dataset: str | None = None, unit: Unit | None = None, *, after: int = 0
    ) -> tuple[Entry, ...]:
        """Return entries, oldest first; of one data set, of one unit, and after a number, if given."""
        with self.database.reading() as session:
            family = None if dataset is None else datasets.find(session, dataset)
            names = () if family is None else family.names
            return tuple(
                entry
                for entry in entries.all_entries(session, after)
                if (dataset is None or entry.dataset in names) and unit in (None, entry.unit)
            )

    def accounts(self) -> tuple[Account, ...]:
        """Return all accounts, ordered by data set."""
        with self.database.reading() as session:
            return accounts.all_accounts(session)

    def account(self, dataset: str, unit: Unit) -> Account:
        """Return the account of a data set and a unit.

        Raises:
            LedgerError: there is none.
        """
        with self.database.reading() as session:
            return accounts.find(session, dataset, unit)

    def spent(self, dataset: str, unit: Unit, delta: float) -> float:
        """Return epsilon at `delta` of all charges to a data set, for the most affected unit.

        Charges for other units are converted to this one (`dp.composition.unit_conversion`).
        """
        with self.database.reading() as session:
            family = datasets.find(session, dataset)
            if family is None:
                return 0.0
            matching = [account for account in accounts.of(session, family) if account.unit == unit]
            if matching:
                return totals.epsilon(totals.load(session, matching[0]), delta)
            account = Account(0, dataset, unit, None, None)
            charges = accounts.active_entries(entries.all_entries(session), family)
            return totals.epsilon(totals.of_charges(account, charges, family.grid), delta)

    def known_as(self, dataset: str, aliases: Iterable[str] = ()) -> tuple[str, ...]:
        """Return all names of a data set that have accounts, oldest first; none if it is unknown."""
        with self.database.reading() as session:
            family = datasets.find(session, dataset, aliases)
            return () if family is None else family.names

    def grid_with(self, charges: Sequence[Charge]) -> TimeGrid:
        """Return the clock and the intervals that a data set would have with further charges."""
        with self.database.reading() as session:
            first = charges[0]
            return datasets.grid_with(datasets.find(session, first.dataset, first.aliases), charges)

    def worst(self, account: Account) -> list[Total]:
        """Return the totals of the most affected units, as curves."""
        with self.database.reading() as session:
            return list(totals.largest(totals.load(session, account).values()))

    def set_cap(
        self,
        dataset: str,
        unit: Unit,
        cap: Budget | None,
        *,
        because: str = "",
        new: bool = False,
        aliases: Iterable[str] = (),
    ) -> Account:
        """Change the cap of an account; the log keeps the old one.

        Args:
            dataset: name of the data set.
            unit: privacy unit.
            cap: the new cap; None for none.
            because: the reason, for the log.
            new: whether the data set may be one without charges.
            aliases: further names of the data set, as those of a `Charge`.

        Raises:
            LedgerError: no such account, or more than the cap has been spent.
        """
        with self.database.writing() as session:
            family = datasets.find(session, dataset, aliases)
            if family is None and not new:
                accounts.find(session, dataset, unit)  # raises
            family = datasets.register(session, dataset, aliases)
            account = accounts.open_account(session, family, unit, None)
            stretches = totals.load(session, account)
            if cap is not None and not all(
                total.within(cap) for total in totals.largest(stretches.values())
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
            return accounts.from_row(row)

    def head(self) -> str:
        """Return the hash of the log's last line, by which later changes of the log are detected."""
        with self.database.reading() as session:
            query = select(LogRow.hash).order_by(LogRow.seq.desc()).limit(1)
            return session.scalars(query).first() or log.START


def _step(session: Session, entry: Entry, state: str, body: dict[str, Any], *, after: str) -> None:
    row = session.get_one(LogRow, entry.id)
    now = entries.entry_of(session, row).state
    if now != after:
        raise LedgerError(f"entry {entry.id} is {now}; only what is {after} can be {state}")
    log.append(session, state, body, account=row.account, entry=entry.id)
