"""Verification of a ledger: every line is as written, and the totals follow from the lines."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import select
from sqlalchemy.orm import Session

from dp.composition.total import OFFSETS, PIECE
from dp.ledger import accounts, datasets, groups, log, seeds, totals
from dp.ledger.entries import all_entries
from dp.ledger.ledger import Ledger
from dp.ledger.tables import LogRow, ReleaseRow
from dp.ledger.values import Entry

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
        head: a hash recorded earlier, which must still be in the log.
    """
    with ledger.database.reading() as session:
        rows = list(session.scalars(select(LogRow).order_by(LogRow.seq)))
        broken = list(log.breaks(rows))
        if head is not None and head not in {row.hash for row in rows}:
            broken.append((len(rows), "the hash that was noted is no longer in the log"))
        if not broken:  # nothing can be derived from a broken line
            broken += _states(rows)
            broken += _releases(session, rows)
            broken += _accounts_differ(session, rows)
            broken += _names(session, rows)
            broken += _pieces(session)
        last = rows[-1].hash if rows else log.START
        return Verdict(len(rows), tuple(sorted(broken)), last)


def _states(rows: list[LogRow]) -> list[tuple[int, str]]:
    now: dict[int, str] = {}
    broken = []
    for row in rows:
        if row.kind == "reserved":
            now[row.seq] = "reserved"
        elif row.entry is not None:
            if row.kind not in _NEXT.get(now.get(row.entry, ""), ()):
                broken.append(
                    (row.seq, f"entry {row.entry} cannot be {row.kind} after {now.get(row.entry)}")
                )
            now[row.entry] = row.kind
    return broken


def _releases(session: Session, rows: list[LogRow]) -> list[tuple[int, str]]:
    digests = {row.entry: json.loads(row.body)["sha256"] for row in rows if row.kind == "released"}
    broken = []
    for release in session.scalars(select(ReleaseRow)):
        digest = digests.pop(release.entry, None)
        if digest is None:
            broken.append((release.entry, "a release is kept that the log does not know"))
        elif hashlib.sha256(release.content).hexdigest() != digest:
            broken.append((release.entry, "the kept release is not what was released"))
    broken += [(entry or 0, "the release is no longer kept") for entry in digests]
    return broken


def _accounts_differ(session: Session, rows: list[LogRow]) -> list[tuple[int, str]]:
    logged: dict[int, tuple[object, ...]] = {}
    for row in rows:
        body = json.loads(row.body)
        if row.kind == "account":
            logged[row.seq] = (body["dataset"], body["unit"], body["population"], None)
        elif row.kind == "cap":
            cap = body["cap"] and (body["cap"]["epsilon"], body["cap"]["delta"])
            logged[row.account] = (*logged[row.account][:3], cap)
    entries = all_entries(session)
    linked = _linked(rows)
    broken = []
    for account in accounts.all_accounts(session):
        cap = (account.cap.epsilon, account.cap.delta) if account.cap else None
        stored = (account.dataset, account.unit.value, account.population, cap)
        if logged.pop(account.id, None) != stored:
            broken.append((account.id, "name, unit, population or cap is not what the log says"))
        family = datasets.find(session, account.dataset)
        if family is None:
            broken.append((account.id, "its data set is gone"))
            continue
        grid = datasets.grid_of([entry for entry in entries if entry.dataset in family.names])
        if family.grid != grid or set(family.names) != linked.get(
            account.dataset, {account.dataset}
        ):
            broken.append((account.id, "its data set is not what the log says"))
        due = totals.of_charges(account, accounts.active_entries(entries, family), grid)
        if totals.load(session, account) != due:
            broken.append((account.id, "the totals do not follow from the entries"))
    return broken + [(number, "the account is gone") for number in logged]


def _names(session: Session, rows: list[LogRow]) -> list[tuple[int, str]]:
    """Return charges whose data set is no longer recognised by their names and prints."""
    broken = []
    known: dict[str, set[str]] = {}
    for row in rows:
        if row.kind != "reserved":
            continue
        body = json.loads(row.body)
        dataset = body["dataset"]
        if dataset not in known:
            family = datasets.find(session, dataset)
            known[dataset] = set() if family is None else datasets.recognised_by(session, family)
        names = [dataset, body["called"], *body.get("aliases", ())]
        if datasets.values_of(names, body.get("sketch", ())) - known[dataset]:
            broken.append(
                (row.seq, "its data set is no longer known by the names it was charged by")
            )
    return broken


def _pieces(session: Session) -> list[tuple[int, str]]:
    """Return pieces of streams that no group was charged for, and seeds that belong to none."""
    every = {entry.id: entry for entry in all_entries(session)}
    free: dict[int, list[Entry]] = {}
    for entry in every.values():
        if entry.event["mechanism"] == PIECE and entry.state != "voided":
            free.setdefault(int(entry.event["group"]), []).append(entry)
    broken = []
    for number, pieces in free.items():
        group = every.get(number)
        for piece in pieces:
            wrong = groups.objection(piece, group, ())
            if wrong:
                broken.append(
                    (piece.id, f"was released at no cost, but of entry {number}: {wrong}")
                )
        if group is not None and "piece" in group.event.get("panel", {}):
            parts = sorted((groups.span_of(one.event), one.id) for one in (group, *pieces))
            for (earlier, _), (later, piece_id) in pairwise(parts):
                if later[0] < earlier[1]:
                    broken.append((piece_id, f"intervals of entry {number} were released twice"))
    for number in seeds.kept(session):
        group = every.get(number)
        if group is None or group.event["mechanism"] != OFFSETS or group.state == "voided":
            broken.append((number, "a seed is kept that belongs to no group"))
    return broken


def _linked(rows: list[LogRow]) -> dict[str, set[str]]:
    """Return the names of data sets that were joined, by each of the names."""
    linked: dict[str, set[str]] = {}
    for row in rows:
        if row.kind == "link":
            names = set(json.loads(row.body)["datasets"])
            names = names.union(*(linked.get(name, ()) for name in names))
            linked |= dict.fromkeys(names, names)
    return linked
