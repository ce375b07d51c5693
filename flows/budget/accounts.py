"""Accounts of the ledger, as the documents of the `budget` commands."""

from __future__ import annotations

from data.errors import DataError
from data.sources.identity import identities
from dp.budget import Budget
from dp.composition.total import largest_epsilon
from dp.ledger import Account, Entry, Ledger, verify
from dp.unit.privacy_unit import parse_unit
from flows.document import Document
from flows.errors import UsageError
from flows.settings import Home

USUAL_DELTA = 1e-7
"""Delta at which accounts without a cap are shown."""


def show(home: Home, delta: float | None = None) -> Document:
    """Return every account with its spent and remaining budget.

    Args:
        home: where the ledger is.
        delta: delta of all of them; by default that of each account's cap.
    """
    ledger = Ledger(home.database_url)
    return {
        "ledger": ledger.database.name,
        "head": ledger.head(),
        "accounts": [_account(ledger, account, delta) for account in ledger.accounts()],
    }


def set_cap(
    home: Home,
    dataset: str,
    unit: str,
    epsilon: float | None,
    delta: float,
    *,
    because: str,
    new: bool,
) -> Document:
    """Set the cap of an account, or remove it with epsilon None."""
    try:
        cap = None if epsilon is None else Budget(epsilon, delta)
        parsed = parse_unit(unit)
    except ValueError as error:
        raise UsageError(str(error)) from None
    ledger = Ledger(home.database_url)
    account = ledger.set_cap(
        dataset, parsed, cap, because=because, new=new, aliases=_aliases(dataset)
    )
    return _account(ledger, account, None)


def history(home: Home, dataset: str | None = None, unit: str | None = None) -> Document:
    """Return the entries, oldest first."""
    ledger = Ledger(home.database_url)
    try:
        parsed = None if unit is None else parse_unit(unit)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if dataset is not None:
        dataset = next(iter(ledger.known_as(dataset, _aliases(dataset))), dataset)
    return {"entries": [_entry(entry) for entry in ledger.entries(dataset, parsed)]}


def verify_ledger(home: Home, head: str | None = None) -> Document:
    """Verify that the ledger is what was written."""
    verdict = verify(Ledger(home.database_url), head)
    return {
        "holds": verdict.holds,
        "lines": verdict.lines,
        "head": verdict.head,
        "broken": [{"line": line, "what": what} for line, what in verdict.broken],
    }


def export(home: Home) -> Document:
    """Return the whole ledger."""
    return {**show(home), **history(home), "verified": verify_ledger(home)}


def _aliases(dataset: str) -> tuple[str, ...]:
    """Return further names of a data set that is named like a source; none otherwise."""
    try:
        return identities(dataset)
    except DataError:
        return ()


def _account(ledger: Ledger, account: Account, delta: float | None) -> Document:
    cap = account.cap
    at = delta or (cap.delta if cap else USUAL_DELTA)
    worst = ledger.worst(account)
    spent = largest_epsilon(worst, at)
    known = spent < float("inf")
    return {
        "dataset": account.dataset,
        "unit": account.unit.value,
        "protects": f"the records of {account.unit.protects}",
        "neighbours": account.unit.neighbours,
        "population": account.population,
        "cap": None if cap is None else {"epsilon": cap.epsilon, "delta": cap.delta},
        "delta": at,
        "epsilon_spent": spent if known else None,
        "without_promise": not known,
        "epsilon_left": max(0.0, cap.epsilon - spent)
        if cap and known and at == cap.delta
        else None,
        "releases": max((total.releases for total in worst), default=0),
    }


def _entry(entry: Entry) -> Document:
    return {
        "entry": entry.id,
        "time": entry.time,
        "state": entry.state,
        "dataset": entry.dataset,
        "unit": entry.unit.value,
        "neighbours": entry.unit.neighbours,
        "purpose": entry.purpose,
        "epsilon": entry.epsilon,
        "delta": entry.delta,
        "period": entry.period.to_dict(),
        "bound": list(entry.bound),
        "event": entry.event,
        "population": entry.population,
        "recipe": entry.recipe,
        "key": entry.key,
        "fingerprint": entry.fingerprint,
        "hash": entry.hash,
    }
