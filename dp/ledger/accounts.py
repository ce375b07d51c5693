"""Accounts, one per data set and privacy unit; a charge to a data set is added to all of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from dp.budget import Budget
from dp.charge import Charge
from dp.composition.unit_conversion import event_for_unit, times_of_unit
from dp.errors import LedgerError
from dp.ledger import datasets, entries, log, totals
from dp.ledger.datasets import Family
from dp.ledger.refusal import refusal
from dp.ledger.tables import AccountRow
from dp.ledger.values import Account, Entry
from dp.unit.privacy_unit import Unit, parse_unit
from dp.unit.time_grid import TimeGrid


def of(session: Session, family: Family | None) -> tuple[Account, ...]:
    """Return the accounts of a data set under all of its names; none for no data set."""
    if family is None:
        return ()
    return _ordered(session, select(AccountRow).where(AccountRow.dataset.in_(family.names)))


def all_accounts(session: Session) -> tuple[Account, ...]:
    """Return all accounts, ordered by data set."""
    return _ordered(session, select(AccountRow))


def _ordered(session: Session, query: Select[tuple[AccountRow]]) -> tuple[Account, ...]:
    query = query.order_by(AccountRow.dataset, AccountRow.id)
    return tuple(from_row(row) for row in session.scalars(query))


def from_row(row: AccountRow) -> Account:
    """Return the account of a row."""
    cap = None
    if row.cap_epsilon is not None and row.cap_delta is not None:
        cap = Budget(row.cap_epsilon, row.cap_delta)
    return Account(row.id, row.dataset, parse_unit(row.unit), row.population, cap)


def find(session: Session, dataset: str, unit: Unit) -> Account:
    """Return the account of a data set for a unit.

    Raises:
        LedgerError: there is none; the message suggests similar names.
    """
    accounts = of(session, datasets.find(session, dataset))
    for account in accounts:
        if account.unit == unit:
            return account
    if accounts:
        units = ", ".join(account.unit.value for account in accounts)
        raise LedgerError(f"{dataset} has no account for unit {unit.value}; it has {units}")
    names = sorted({account.dataset for account in all_accounts(session)})
    close = difflib.get_close_matches(dataset, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(names) or 'none yet'}"
    raise LedgerError(
        f"no account of a data set called {dataset!r}; {hint}. A cap before the first charge: --new"
    )


def open_account(session: Session, family: Family, unit: Unit, population: str | None) -> Account:
    """Return the account; open it if needed, with the cost of earlier charges for other units."""
    accounts, dataset = of(session, family), family.names[0]
    for account in accounts:
        if population and account.population and population != account.population:
            raise LedgerError(
                f"{account.dataset} is on record with the population {account.population!r}, this run "
                f"declares {population!r}; other people are another data set: give it another name "
                "(source.account)"
            )
    known = next((account.population for account in accounts if account.population), population)
    for account in accounts:
        if account.unit == unit:
            return account
    body = {
        "dataset": dataset,
        "unit": unit.value,
        "neighbours": unit.neighbours,
        "population": known,
    }
    row = log.append(session, "account", body, account=None)
    session.add(
        AccountRow(
            id=row.seq,
            dataset=dataset,
            unit=unit.value,
            population=known,
            cap_epsilon=None,
            cap_delta=None,
        )
    )
    session.flush()
    account = Account(row.seq, dataset, unit, known, None)
    if accounts:
        rebuild(session, [account], family)
    return account


def add(
    session: Session,
    account: Account,
    charge: Charge,
    grid: TimeGrid,
    caps: list[Budget],
    *,
    everywhere: bool = False,
) -> None:
    """Add a charge to an account's totals, unless a cap would be passed.

    Args:
        session: that writes.
        account: of the charge's data set.
        charge: what is about to be spent.
        grid: of the data set, with this charge.
        caps: that hold for the account.
        everywhere: whether to check stretches that the charge does not reach as well, because their
            totals have just been rebuilt.
    """
    reach = times_of_unit(account.unit, charge, grid)
    event = event_for_unit(account.unit, charge, grid)
    before = totals.load(session, account, reach)
    after, touched = totals.add(before, reach, event)
    apart = totals.load(session, account) if everywhere else {}
    apart = {stretch: total for stretch, total in apart.items() if stretch not in before}
    for cap in caps:
        full = [total.plus(event) for total in totals.largest(touched.values())]
        if not all(total.within(cap) for total in (*full, *totals.largest(apart.values()))):
            raise refusal(account, charge, event, touched | apart, cap)
    totals.replace(session, account, before, after)


def rebuild(session: Session, accounts: Iterable[Account], family: Family) -> None:
    """Rebuild totals from all entries of the data set."""
    charges = active_entries(entries.all_entries(session), family)
    for account in accounts:
        before = totals.load(session, account)
        due = totals.of_charges(account, charges, family.grid)
        totals.replace(session, account, before, due)


def active_entries(entries: list[Entry], family: Family) -> list[Entry]:
    """Return the entries of a data set that count: all that were not given back."""
    names = set(family.names)
    return [entry for entry in entries if entry.dataset in names and entry.state != "voided"]
