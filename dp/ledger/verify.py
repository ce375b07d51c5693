"""Checking a ledger: is every line what was written, and do the totals follow from the lines?"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from dp.ledger import accounts, datasets, log, totals
from dp.ledger.entries import all_entries
from dp.ledger.ledger import Ledger
from dp.ledger.tables import LogRow, ReleaseRow

_NEXT = {"reserved": ("committed", "voided"), "committed": ("released",)}


@dataclass(frozen=True)
class Verdict:
    """Outcome of a check.

    Attributes:
        lines: how many lines the log has.
        broken: number of the line, or of the entry or account that it opens, and what is wrong.
        head: hash of the last line.
    """

    lines: int
    broken: tuple[tuple[int, str], ...]
    head: str

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.broken


def verify(ledger: Ledger, head: str | None = None) -> Verdict:
    """Recompute the chain and the totals.

    Args:
        ledger: the ledger.
        head: a hash noted earlier; it must still be in the log.
    """
    with ledger.database.reading() as session:
        rows = list(session.scalars(select(LogRow).order_by(LogRow.seq)))
        broken = list(log.breaks(rows))
        if head is not None and head not in {row.hash for row in rows}:
            broken.append((len(rows), "the hash that was noted is no longer in the log"))
        if not broken:  # what a broken line says cannot be reckoned with
            broken += _states(rows)
            broken += _releases(session, rows)
            broken += _accounts_differ(session, rows)
            broken += _names(session, rows)
        last = rows[-1].hash if rows else log.START
        return Verdict(len(rows), tuple(sorted(broken)), last)


def _states(rows: list[LogRow]) -> list[tuple[int, str]]:
    now: dict[int, str] = {}
    found = []
    for row in rows:
        if row.kind == "reserved":
            now[row.seq] = "reserved"
        elif row.entry is not None:
            if row.kind not in _NEXT.get(now.get(row.entry, ""), ()):
                found.append(
                    (row.seq, f"entry {row.entry} cannot be {row.kind} after {now.get(row.entry)}")
                )
            now[row.entry] = row.kind
    return found


def _releases(session: Session, rows: list[LogRow]) -> list[tuple[int, str]]:
    noted = {row.entry: json.loads(row.body)["sha256"] for row in rows if row.kind == "released"}
    found = []
    for kept in session.scalars(select(ReleaseRow)):
        digest = noted.pop(kept.entry, None)
        if digest is None:
            found.append((kept.entry, "a release is kept that the log does not know"))
        elif hashlib.sha256(kept.content).hexdigest() != digest:
            found.append((kept.entry, "the kept release is not what was released"))
    found += [(entry or 0, "the release is no longer kept") for entry in noted]
    return found


def _accounts_differ(session: Session, rows: list[LogRow]) -> list[tuple[int, str]]:
    told: dict[int, tuple[object, ...]] = {}
    for row in rows:
        body = json.loads(row.body)
        if row.kind == "account":
            told[row.seq] = (body["dataset"], body["unit"], body["population"], None)
        elif row.kind == "cap":
            cap = body["cap"] and (body["cap"]["epsilon"], body["cap"]["delta"])
            told[row.account] = (*told[row.account][:3], cap)
    entries = all_entries(session)
    linked = _linked(rows)
    found = []
    for account in accounts.every(session):
        cap = (account.cap.epsilon, account.cap.delta) if account.cap else None
        stored = (account.dataset, account.unit.value, account.population, cap)
        if told.pop(account.id, None) != stored:
            found.append((account.id, "name, unit, population or cap is not what the log says"))
        family = datasets.named(session, account.dataset)
        if family is None:
            found.append((account.id, "its data set is gone"))
            continue
        grid = datasets.grid_of([one for one in entries if one.dataset in family.names])
        if family.grid != grid or set(family.names) != linked.get(
            account.dataset, {account.dataset}
        ):
            found.append((account.id, "its data set is not what the log says"))
        due = totals.of_charges(account, accounts.live(entries, family), grid)
        if totals.load(session, account) != due:
            found.append((account.id, "the totals do not follow from the entries"))
    return found + [(number, "the account is gone") for number in told]


def _names(session: Session, rows: list[LogRow]) -> list[tuple[int, str]]:
    """Charges whose data set is no longer recognised by what was charged."""
    found = []
    known: dict[str, set[str]] = {}
    for row in rows:
        if row.kind != "reserved":
            continue
        body = json.loads(row.body)
        dataset = body["dataset"]
        if dataset not in known:
            family = datasets.named(session, dataset)
            known[dataset] = set() if family is None else datasets.noted(session, family)
        names = [dataset, body["called"], *body.get("aliases", ())]
        if datasets.values_of(names, body.get("sketch", ())) - known[dataset]:
            found.append(
                (row.seq, "its data set is no longer known by the names it was charged by")
            )
    return found


def _linked(rows: list[LogRow]) -> dict[str, set[str]]:
    """Names of data sets that were found to be one, by each of them."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if row.kind == "link":
            together = set(json.loads(row.body)["datasets"])
            together |= {name for one in together for name in found.get(one, ())}
            found |= dict.fromkeys(together, together)
    return found
