"""Data sets: one however it is called, wherever it is reached, and however much it has grown.

A charge is known by its name, by the further names of its source (resolved paths, canonical URLs), by
the fingerprint of its panel, and by prints of parts of it. Whatever it has in common with a data set on
record makes it that data set; two of them that turn out to be one are a family, whose accounts are all
charged together from then on.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from dp.charge import Charge
from dp.errors import LedgerError
from dp.ledger import log
from dp.ledger.entries import all_entries
from dp.ledger.tables import AccountRow, DatasetRow, LogRow, NameRow
from dp.ledger.values import Entry
from dp.unit.privacy_unit import PrivacyUnit
from dp.unit.time_grid import UNSAID, TimeGrid

_SHARED = 2
"""Prints in common that make two panels the same data; one could be a coincidence."""
_FILE = "file:"


@dataclass(frozen=True)
class Family:
    """Data sets that are one.

    Attributes:
        id: number of the oldest one.
        names: oldest first; charges go by the first.
        grid: clocks and intervals of all releases.
    """

    id: int
    names: tuple[str, ...]
    grid: TimeGrid


def named(session: Session, name: str, aliases: Iterable[str] = ()) -> Family | None:
    """The data sets known by a name, or by one of its further names; None if there is none."""
    rows = _by_name(session, [name, *aliases])
    return _family(session, rows[0].family) if rows else None


def register(session: Session, name: str, aliases: Iterable[str]) -> Family:
    """A data set that nothing was charged to yet, or the one that is known by any of the names."""
    known = named(session, name, aliases)
    if known is None:
        row = _opened(session, name)
        known = Family(row.id, (name,), TimeGrid())
    remember(session, known.id, [name, *aliases], ())
    return known


def admit(session: Session, charge: Charge) -> tuple[Family, bool, Charge]:
    """The data set of a charge, which is noted to be one more release of it.

    Returns:
        The data set, with the charge in its grid; whether totals of earlier charges must be worked out
        anew, since two data sets became one or the meaning of "one interval" has changed; the charge
        with no prints but new ones, for the log.

    Raises:
        LedgerError: the charge goes by another clock than all before it.
    """
    rows = _matches(session, charge)
    if not rows:
        row = _opened(session, charge.dataset)
        rows = [row]
    families = sorted({row.family for row in rows})
    before = _family(session, families[0])
    if joined := len(families) > 1:
        before = _join(session, families, charge)
    after = _plus(before.grid, charge)
    _check_clock(session, before, after, charge)
    changed = bool(before.grid.clocks) and not before.grid.same_costs(after)
    _store(session, before.id, after)
    new = remember(session, before.id, [charge.dataset, *charge.aliases], charge.sketch)
    fresh = replace(charge, sketch=tuple(one for one in charge.sketch if one in new))
    return replace(before, grid=after), joined or changed, fresh


def grid_with(family: Family | None, charges: Iterable[Charge]) -> TimeGrid:
    """The grid that a data set would have with further charges; nothing is written."""
    grid = TimeGrid() if family is None else family.grid
    for charge in charges:
        grid = _plus(grid, charge)
    return grid


def grid_of(entries: Iterable[Charge]) -> TimeGrid:
    """The grid of all charges of a data set, oldest first."""
    return grid_with(None, entries)


def _plus(grid: TimeGrid, charge: Charge) -> TimeGrid:
    counts = charge.purpose not in ("statistic", "scaler")
    return grid.plus(charge.period, charge.timezone, counts=counts)


def _matches(session: Session, charge: Charge) -> list[DatasetRow]:
    """Data sets that a charge belongs to, oldest first."""
    found = {row.id: row for row in _by_name(session, [charge.dataset])}
    for row in _by_name(session, charge.aliases):
        if not _declared_apart(session, row, charge):
            found[row.id] = row
    query = (
        select(DatasetRow)
        .join(AccountRow, AccountRow.dataset == DatasetRow.name)
        .join(LogRow, LogRow.account == AccountRow.id)
        .where(LogRow.fingerprint == charge.fingerprint)
    )
    found |= {row.id: row for row in session.scalars(query)}
    prints = session.scalars(select(NameRow.dataset).where(NameRow.value.in_(charge.sketch)))
    enough = min(_SHARED, len(charge.sketch))
    for number, shared in Counter(prints).items():
        if shared >= enough:
            found[number] = session.get_one(DatasetRow, number)
    return [found[number] for number in sorted(found)]


def _by_name(session: Session, names: Iterable[str]) -> list[DatasetRow]:
    """Data sets with one of the names, oldest first."""
    called = list(names)
    digests = [_digest(name) for name in called]
    query = (
        select(DatasetRow)
        .outerjoin(NameRow, NameRow.dataset == DatasetRow.id)
        .where(DatasetRow.name.in_(called) | NameRow.value.in_(digests))
    )
    rows = {row.id: row for row in session.scalars(query)}
    places = [name for name in called if name.startswith(_FILE) or "#" in name]
    if places:  # names from before they had one spelling
        for row in session.scalars(select(DatasetRow).where(DatasetRow.old)):
            if any(_may_be(row.name, name) for name in places):
                rows[row.id] = row
    return [rows[number] for number in sorted(rows)]


def _may_be(old: str, name: str) -> bool:
    """Whether an old name may be that of a place: they end alike, as far as that can be told.

    Relative paths were kept as typed, and URLs with whatever port, driver and schema they had.
    """
    if "#" in old:
        return "#" in name and _bare(old) == _bare(name)
    path = posixpath.normpath(old).removeprefix("~/")
    while path.startswith("../"):
        path = path.removeprefix("../")
    return name.startswith(_FILE) and name.endswith("/" + path.lstrip("/"))


def _bare(url: str) -> tuple[str, str, str]:
    """Host, database and own name of a table, without what may have been left out."""
    place, _, table = url.rpartition("://")[2].rpartition("#")
    host, _, database = place.partition("?")[0].partition("/")
    return host.partition(":")[0].lower(), database.lower(), table.rpartition(".")[2].lower()


def _declared_apart(session: Session, row: DatasetRow, charge: Charge) -> bool:
    """Whether the operator has named both accounts and says that they are about other people."""
    query = select(AccountRow.population).where(AccountRow.dataset == row.name)
    on_record = [population for population in session.scalars(query) if population]
    explicit = charge.recipe.get("source", {}).get("account") == charge.dataset
    return (
        explicit
        and charge.dataset != row.name
        and charge.population is not None
        and bool(on_record)
        and charge.population not in on_record
    )


def _check_clock(session: Session, family: Family, after: TimeGrid, charge: Charge) -> None:
    if after.one_clock or not family.grid.one_clock:
        return
    query = select(AccountRow.unit).where(AccountRow.dataset.in_(family.names))
    units = {*session.scalars(query), charge.unit.value}
    if units == {PrivacyUnit.USER.value}:
        return
    (before,) = family.grid.clocks
    raise LedgerError(
        f"{family.names[0]} was released by the clock of {_clock(before)}, this panel goes by that of "
        f"{_clock(charge.timezone)}: days and weeks would not be the same ones, and what was promised "
        "of each would not add up; nothing was drawn. Bring the times by the clock of before "
        "(events.timezone, or the offsets in the file), or promise unit user"
    )


def _clock(timezone: str | None) -> str:
    if timezone == UNSAID:
        return "UTC or the source (it was not kept which)"
    return "the source, which names no zone" if timezone is None else timezone


def _join(session: Session, families: list[int], charge: Charge) -> Family:
    """Make several families one; the log says so."""
    oldest = families[0]
    names = [name for number in families for name in _family(session, number).names]
    body = {"datasets": names, "called": charge.dataset}
    log.append(session, "link", body, account=None)
    for row in session.scalars(select(DatasetRow).where(DatasetRow.family.in_(families))):
        row.family = oldest
    session.flush()
    _store(session, oldest, grid_of(_of(all_entries(session), names)))
    return _family(session, oldest)


def _of(entries: Iterable[Entry], names: Iterable[str]) -> list[Entry]:
    known = set(names)
    return [entry for entry in entries if entry.dataset in known]


def _family(session: Session, number: int) -> Family:
    query = select(DatasetRow).where(DatasetRow.family == number).order_by(DatasetRow.id)
    rows = list(session.scalars(query))
    return Family(number, tuple(row.name for row in rows), TimeGrid.from_json(rows[0].grid))


def _opened(session: Session, name: str) -> DatasetRow:
    row = DatasetRow(name=name, family=0, grid=TimeGrid().to_json(), old=False)
    session.add(row)
    session.flush()
    row.family = row.id
    session.flush()
    return row


def _store(session: Session, number: int, grid: TimeGrid) -> None:
    session.get_one(DatasetRow, number).grid = grid.to_json()
    session.flush()


def remember(
    session: Session, dataset: int, names: Iterable[str], prints: Iterable[str]
) -> set[str]:
    """Note what a data set is recognised by from now on; what of it is new."""
    values = values_of(names, prints)
    query = select(NameRow.value).where(NameRow.dataset == dataset, NameRow.value.in_(values))
    new = values - set(session.scalars(query))
    session.add_all(NameRow(dataset=dataset, value=value) for value in sorted(new))
    session.flush()
    return new


def noted(session: Session, family: Family) -> set[str]:
    """All that a data set is recognised by, as `values_of` gives it."""
    query = (
        select(NameRow.value)
        .join(DatasetRow, NameRow.dataset == DatasetRow.id)
        .where(DatasetRow.name.in_(family.names))
    )
    return set(session.scalars(query))


def values_of(names: Iterable[str], prints: Iterable[str]) -> set[str]:
    """Names and prints as they are noted."""
    return {*(_digest(name) for name in names), *prints}


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
