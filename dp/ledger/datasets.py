"""Data sets, recognised under any name, at any place, and after they have grown.

A charge is matched by its name, by the further names of its source (resolved paths, canonical URLs), by
the fingerprint of its panel, and by prints of parts of it. Anything it shares with a data set on record
makes it that data set; data sets that turn out to be one form a family, whose accounts are all charged
together from then on.
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
from dp.unit.time_grid import UNRECORDED, TimeGrid

_SHARED = 2
"""Shared prints that make two panels the same data; a single one could be a coincidence."""
_FILE = "file:"


@dataclass(frozen=True)
class Family:
    """Data sets that turned out to be the same one.

    Attributes:
        id: number of the oldest one.
        names: oldest first; charges go by the first.
        grid: clocks and intervals of all releases.
    """

    id: int
    names: tuple[str, ...]
    grid: TimeGrid


def find(session: Session, name: str, aliases: Iterable[str] = ()) -> Family | None:
    """Return the data sets known by a name or a further name; None if there is none."""
    rows = _by_name(session, [name, *aliases])
    return _family(session, rows[0].family) if rows else None


def register(session: Session, name: str, aliases: Iterable[str]) -> Family:
    """Return the data set known by any of the names, or a new one without charges."""
    known = find(session, name, aliases)
    if known is None:
        row = _new_row(session, name)
        known = Family(row.id, (name,), TimeGrid())
    remember(session, known.id, [name, *aliases], ())
    return known


def admit(session: Session, charge: Charge) -> tuple[Family, bool, Charge]:
    """Record a charge as one more release of its data set, and return that data set.

    Returns:
        The data set, with the charge in its grid; whether totals of earlier charges must be rebuilt,
        since two data sets became one or the meaning of "one interval" has changed; the charge with only
        its new prints, for the log.

    Raises:
        LedgerError: the charge uses another clock than all earlier ones.
    """
    rows = _matches(session, charge)
    if not rows:
        row = _new_row(session, charge.dataset)
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
    fresh = replace(charge, sketch=tuple(value for value in charge.sketch if value in new))
    return replace(before, grid=after), joined or changed, fresh


def grid_with(family: Family | None, charges: Iterable[Charge]) -> TimeGrid:
    """Return the grid that a data set would have with further charges; nothing is written."""
    grid = TimeGrid() if family is None else family.grid
    for charge in charges:
        grid = _plus(grid, charge)
    return grid


def grid_of(entries: Iterable[Charge]) -> TimeGrid:
    """Return the grid of all charges of a data set, oldest first."""
    return grid_with(None, entries)


def _plus(grid: TimeGrid, charge: Charge) -> TimeGrid:
    counts = charge.purpose not in ("statistic", "scaler")
    return grid.plus(charge.period, charge.timezone, counts=counts)


def _matches(session: Session, charge: Charge) -> list[DatasetRow]:
    """Return the data sets that a charge belongs to, oldest first."""
    datasets = {row.id: row for row in _by_name(session, [charge.dataset])}
    for row in _by_name(session, charge.aliases):
        if not _declared_apart(session, row, charge):
            datasets[row.id] = row
    query = (
        select(DatasetRow)
        .join(AccountRow, AccountRow.dataset == DatasetRow.name)
        .join(LogRow, LogRow.account == AccountRow.id)
        .where(LogRow.fingerprint == charge.fingerprint)
    )
    datasets |= {row.id: row for row in session.scalars(query)}
    prints = session.scalars(select(NameRow.dataset).where(NameRow.value.in_(charge.sketch)))
    enough = min(_SHARED, len(charge.sketch))
    for number, shared in Counter(prints).items():
        if shared >= enough:
            datasets[number] = session.get_one(DatasetRow, number)
    return [datasets[number] for number in sorted(datasets)]


def _by_name(session: Session, names: Iterable[str]) -> list[DatasetRow]:
    """Return the data sets with one of the names, oldest first."""
    called = list(names)
    digests = [_digest(name) for name in called]
    query = (
        select(DatasetRow)
        .outerjoin(NameRow, NameRow.dataset == DatasetRow.id)
        .where(DatasetRow.name.in_(called) | NameRow.value.in_(digests))
    )
    rows = {row.id: row for row in session.scalars(query)}
    places = [name for name in called if name.startswith(_FILE) or "#" in name]
    if places:  # names from the time before spellings were unified
        for row in session.scalars(select(DatasetRow).where(DatasetRow.old)):
            if any(_may_be(row.name, name) for name in places):
                rows[row.id] = row
    return [rows[number] for number in sorted(rows)]


def _may_be(old: str, name: str) -> bool:
    """Return whether an old name may mean the place: both end alike, as far as is recorded.

    Relative paths were kept as typed, and URLs with whatever port, driver and schema they had.
    """
    if "#" in old:
        return "#" in name and _bare(old) == _bare(name)
    path = posixpath.normpath(old).removeprefix("~/")
    while path.startswith("../"):
        path = path.removeprefix("../")
    return name.startswith(_FILE) and name.endswith("/" + path.lstrip("/"))


def _bare(url: str) -> tuple[str, str, str]:
    """Return host, database and own name of a table, without the optional parts."""
    place, _, table = url.rpartition("://")[2].rpartition("#")
    host, _, database = place.partition("?")[0].partition("/")
    return host.partition(":")[0].lower(), database.lower(), table.rpartition(".")[2].lower()


def _declared_apart(session: Session, row: DatasetRow, charge: Charge) -> bool:
    """Return whether the operator named both accounts and declares different populations."""
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
    if timezone == UNRECORDED:
        return "UTC or the source (it was not kept which)"
    return "the source, which names no zone" if timezone is None else timezone


def _join(session: Session, families: list[int], charge: Charge) -> Family:
    """Join several families into one, and log it."""
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


def _new_row(session: Session, name: str) -> DatasetRow:
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
    """Store names and prints that a data set is recognised by, and return the new ones."""
    values = values_of(names, prints)
    query = select(NameRow.value).where(NameRow.dataset == dataset, NameRow.value.in_(values))
    new = values - set(session.scalars(query))
    session.add_all(NameRow(dataset=dataset, value=value) for value in sorted(new))
    session.flush()
    return new


def recognised_by(session: Session, family: Family) -> set[str]:
    """Return all names and prints that a data set is recognised by, as `values_of` gives them."""
    query = (
        select(NameRow.value)
        .join(DatasetRow, NameRow.dataset == DatasetRow.id)
        .where(DatasetRow.name.in_(family.names))
    )
    return set(session.scalars(query))


def values_of(names: Iterable[str], prints: Iterable[str]) -> set[str]:
    """Return names and prints as they are stored."""
    return {*(_digest(name) for name in names), *prints}


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
