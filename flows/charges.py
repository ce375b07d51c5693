"""What a sweep costs: told before anything is charged, and charged before anything is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from data import validate
from data.panel import Panel
from dp.budget import BudgetRefused
from dp.composition import Total, largest_epsilon
from dp.ledger import Charge, Entry, Ledger
from dp.release import reserve
from dp.seen import seen_by
from dp.unit import Unit
from flows import gradient, privatise
from flows.grid import Grid, Point
from flows.kept import Kept
from flows.prepare import Prepared, prepare
from flows.privatise import Privatised
from flows.promise import Promise
from flows.recipe import Recipe, WindowConfig, from_dict
from flows.rehearse import best_rate
from flows.settings import Home, open_home
from flows.steps import ingest_step


@dataclass(frozen=True)
class Announcement:
    """What a sweep is about to cost, before anything is charged.

    Attributes:
        points: combinations.
        trainings: points times seeds.
        charges: releases and trainings that are still to be paid for.
        unit, delta, neighbours: of the promise; None without privacy.
        epsilon: of this sweep's new charges, composed; 0 if all of them are paid.
        after: of everything charged to the data set, these included, for the unit.
        cap: epsilon that may be spent at this delta; None without a cap.
    """

    points: int
    trainings: int
    charges: int
    unit: str | None = None
    delta: float | None = None
    neighbours: str | None = None
    epsilon: float = 0.0
    after: float = 0.0
    cap: float | None = None


def announced(grid: Grid) -> Announcement:
    """What `sweep` would cost; nothing is charged or drawn. Raises UsageError like it."""
    points, home = grid.points(), open_home()
    known = known_rates(kept_in(home), grid, points)
    return announce(grid, points, known, panel_of(grid), home)


def kept_in(home: Home) -> Kept:
    """Where the pieces of sweeps are."""
    return Kept(home.root / "sweep")


def known_rates(keep: Kept, grid: Grid, points: list[Point]) -> dict[Point, float]:
    """Learning rates that were found before; a training at another rate is another charge."""
    found = {}
    for point in points if grid.trials else ():
        about = {"recipe": grid.at(point, 0).to_dict(), "trials": grid.trials}
        if kept := keep.known(best_rate, **about):
            found[point] = float(kept["learning_rate"])
    return found


def announce(
    grid: Grid, points: list[Point], rates: Mapping[Point, float | None], panel: Panel, home: Home
) -> Announcement:
    """The same, of points that are known."""
    trainings = len(points) * grid.seeds
    charges = charges_of(grid, points, rates, panel, home)
    if not charges:
        return Announcement(len(points), trainings, 0)
    ledger, delta = Ledger(home.database_url), charges[0].delta
    unit = charges[0].unit
    new = [one for one in charges if not _paid(ledger, one)]
    alone = Total()
    for one in new:
        alone = alone.plus(seen_by(unit, one.event, one.unit))
    known = [one for one in ledger.accounts() if one.dataset == charges[0].dataset]
    account = next((one for one in known if one.unit == unit), None)
    worst = ledger.worst(account) if account else [Total()]
    both = [_sum(total, new, unit) for total in worst or [Total()]]
    return Announcement(
        len(points), trainings, len(new), unit.value, delta, unit.neighbours,
        alone.epsilon(delta), largest_epsilon(both, delta),
        account.cap.epsilon if account and account.cap else None,
    )  # fmt: skip


def charge_all(charges: list[Charge], home: Home) -> list[Entry]:
    """Reserve every charge, or none of them.

    Raises:
        BudgetRefused: they do not all fit; what was reserved is given back.
    """
    ledger, made = Ledger(home.database_url), []
    try:
        for one in charges:
            entry = reserve(ledger, one)
            made.append(entry)
    except BudgetRefused:
        for entry in made:
            if entry.state == "reserved":
                ledger.void(entry)
        raise
    return made


def panel_of(grid: Grid) -> Panel:
    """The panel that all points share, raw."""
    sections = ("source", "events", "privacy")  # the others do not decide what is counted
    asked = from_dict({name: grid.recipe[name] for name in sections if name in grid.recipe})
    return validate.to_panel(ingest_step.fn(asked), max_gap=asked.source.max_gap)[0]


def charges_of(
    grid: Grid,
    points: list[Point],
    rates: Mapping[Point, float | None],
    panel: Panel,
    home: Home,
) -> list[Charge]:
    """Everything that has to be paid, each once: points that share a release share its charge."""

    @cache
    def windows(config: WindowConfig) -> Prepared:
        return prepare(Privatised(panel, panel, Promise()), panel, config, repair=False)

    found: dict[str, Charge] = {}
    for point in points:
        if point.mechanism == "none":
            continue
        for seed in range(grid.seeds):
            asked = grid.at(point, seed, rates.get(point))
            for one in _of(asked, panel, windows, home):
                found[one.key] = one
    return list(found.values())


def _of(
    asked: Recipe, panel: Panel, windows: Callable[[WindowConfig], Prepared], home: Home
) -> list[Charge]:
    """The charges of one training."""
    private = asked.privacy.mechanism == "gradient"
    counts = not private or asked.privacy.protect_inputs
    paid = [privatise.charge(panel, asked, home)] if counts else []
    return [*paid, gradient.charge(windows(asked.windows), asked, home)] if private else paid


def _paid(ledger: Ledger, charge: Charge) -> bool:
    entry = ledger.find(charge.key)
    return entry is not None and entry.state in ("reserved", "committed", "released")


def _sum(total: Total, charges: list[Charge], unit: Unit) -> Total:
    for one in charges:
        total = total.plus(seen_by(unit, one.event, one.unit))
    return total
