"""Accounts: one a data set and privacy unit; every charge to the data set is added to each of them."""

from __future__ import annotations

import difflib

from sqlalchemy import select
from sqlalchemy.orm import Session

from dp.budget import Budget
from dp.errors import LedgerError
from dp.ledger import entries, log, totals
from dp.ledger.refusal import refusal
from dp.ledger.tables import AccountRow, LogRow
from dp.ledger.values import Account, Charge, Entry
from dp.seen import seen_by
from dp.unit import Unit, parse_unit


def known_as(session: Session, charge: Charge) -> str:
    """The name that the data set has in the ledger: a copy under another name is no new budget."""
    query = (
        select(AccountRow.dataset)
        .join(LogRow, LogRow.account == AccountRow.id)
        .where(LogRow.fingerprint == charge.fingerprint)
        .order_by(LogRow.seq)
        .limit(1)
    )
    return session.scalars(query).first() or charge.dataset


def of(session: Session, dataset: str | None) -> tuple[Account, ...]:
    """Accounts of a data set, or all of them, by data set."""
    query = select(AccountRow).order_by(AccountRow.dataset, AccountRow.id)
    if dataset is not None:
        query = query.where(AccountRow.dataset == dataset)
    return tuple(from_row(row) for row in session.scalars(query))


def from_row(row: AccountRow) -> Account:
    """The account of a row."""
    cap = None
    if row.cap_epsilon is not None and row.cap_delta is not None:
        cap = Budget(row.cap_epsilon, row.cap_delta)
    return Account(row.id, row.dataset, parse_unit(row.unit), row.population, cap)


def the_one(session: Session, dataset: str, unit: Unit) -> Account:
    """The account of a data set for a unit.

    Raises:
        LedgerError: there is none; the message has the names that come close.
    """
    found = of(session, dataset)
    for account in found:
        if account.unit == unit:
            return account
    if found:
        units = ", ".join(account.unit.value for account in found)
        raise LedgerError(f"{dataset} has no account for unit {unit.value}; it has {units}")
    names = sorted({account.dataset for account in of(session, None)})
    close = difflib.get_close_matches(dataset, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(names) or 'none yet'}"
    raise LedgerError(
        f"no account of a data set called {dataset!r}; {hint}. A cap before the first charge: --new"
    )


def opened(session: Session, dataset: str, unit: Unit, population: str | None) -> Account:
    """The account, opened if need be with what earlier charges for other units cost this one."""
    found = of(session, dataset)
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
        rebuild(session, account)
    return account


def add(session: Session, account: Account, charge: Charge, caps: list[Budget]) -> None:
    """Add a charge to an account's totals, unless a cap would be passed."""
    reach = charge.period.reach(account.unit)
    event = seen_by(account.unit, charge.event, charge.unit)
    before = totals.load(session, account, reach)
    after, touched = totals.add(before, reach, event)
    for cap in caps:
        if not all(total.plus(event).within(cap) for total in totals.largest(touched.values())):
            raise refusal(account, charge, event, touched, cap)
    totals.replace(session, account, before, after)


def rebuild(session: Session, account: Account) -> None:
    """Totals from all entries of the data set."""
    charges = live(entries.all_entries(session), account.dataset)
    before = totals.load(session, account)
    totals.replace(session, account, before, totals.of_charges(account, charges))


def live(entries: list[Entry], dataset: str) -> list[Entry]:
    """Entries of a data set that count: all that were not given back."""
    return [one for one in entries if one.dataset == dataset and one.state != "voided"]
