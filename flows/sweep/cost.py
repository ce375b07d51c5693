"""Costs of sweeps: announced before anything is charged, charged before anything is drawn."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache

from data import validate
from data.panel import Panel
from dp.budget import Budget, BudgetRefused
from dp.composition.total import Total, largest_epsilon
from dp.composition.unit_conversion import event_for_unit
from dp.ledger import Charge, Entry, Ledger, local_secret
from dp.release.idempotent import is_paid as paid
from dp.release.idempotent import reserve
from dp.unit.privacy_unit import Unit
from dp.unit.time_grid import TimeGrid
from flows.document import Document
from flows.pipeline import privatise
from flows.pipeline.dpsgd import train
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import Privatised
from flows.pipeline.steps import ingest_step
from flows.pipeline.windows import Prepared, prepare
from flows.recipe.recipe import Recipe
from flows.recipe.sections import PrivacyConfig, WindowConfig
from flows.runtime.result_cache import ResultCache
from flows.settings import Home, open_home
from flows.sweep.grid import Grid, Point
from flows.sweep.learning_rates import best_rate


@dataclass(frozen=True)
class UnitTotal:
    """The cost of a sweep for one privacy unit.

    Attributes:
        unit, delta, neighbours: of the promise.
        epsilon: of this sweep's new charges, composed, those for other units included; 0 if all of
            them are paid.
        after: of everything charged to the data set, these included.
        cap: what may be spent; None without a cap.
        fits: how many of the new charges, in their order, the cap leaves room for.
    """

    unit: str
    delta: float
    neighbours: str
    epsilon: float
    after: float
    cap: Budget | None
    fits: int


@dataclass(frozen=True)
class Announcement:
    """The cost of a sweep before anything is charged.

    Attributes:
        points: combinations.
        trainings: points times seeds.
        charges: releases and trainings that are still to be paid for.
        units: what they come to, by privacy unit; empty without privacy.
    """

    points: int
    trainings: int
    charges: int
    units: tuple[UnitTotal, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether every cap leaves room for all of it."""
        return all(one.fits == self.charges for one in self.units)

    def to_dict(self) -> Document:
        """As JSON values."""
        return asdict(self)


def announced(grid: Grid) -> Announcement:
    """Work out what `sweep` would cost; charge and draw nothing. Raises UsageError like it."""
    points, home = grid.points(), open_home()
    panel = panel_of(grid)
    known = known_rates(kept_in(home), grid, points, panel)
    return announce(grid, points, known, panel, home)


def kept_in(home: Home) -> ResultCache:
    """Open the cache of the pieces of sweeps."""
    return ResultCache(home.root / "sweep", local_secret(home.secret))


def known_rates(
    keep: ResultCache, grid: Grid, points: list[Point], panel: Panel
) -> dict[Point, float]:
    """Learning rates that were found before; a training at another rate is another charge."""
    rates = {}
    for point in points if grid.trials else ():
        about = {"recipe": grid.at(point, 0).to_dict(), "trials": grid.trials, "panel": panel}
        if kept := keep.known(best_rate, **about):
            rates[point] = float(kept["learning_rate"])
    return rates


def announce(
    grid: Grid, points: list[Point], rates: Mapping[Point, float | None], panel: Panel, home: Home
) -> Announcement:
    """Work out the cost of points that are known."""
    charges = charges_of(grid, points, rates, panel, home)
    ledger = Ledger(home.database_url)
    new = [one for one in charges if not paid(ledger, one)]
    units = dict.fromkeys(one.unit for one in charges)
    privacy = grid.at(points[0], 0).privacy
    return Announcement(
        len(points),
        len(points) * grid.seeds,
        len(new),
        tuple(_total(ledger, charges, unit, new, privacy) for unit in units),
    )


def _total(
    ledger: Ledger, charges: list[Charge], unit: Unit, new: list[Charge], privacy: PrivacyConfig
) -> UnitTotal:
    """Add up the new charges for a unit; the recipe's cap holds for each of its units."""
    first, grid = charges[0], ledger.grid_with(charges)
    names = ledger.known_as(first.dataset, first.aliases)
    known = [one for one in ledger.accounts() if one.dataset in names and one.unit == unit]
    worst = [total for one in known[:1] for total in ledger.worst(one)] or [Total()]
    caps = [cap for cap in (privacy.cap, *(one.cap for one in known)) if cap is not None]

    def within(count: int) -> bool:
        totals = [_sum(total, new[:count], unit, grid) for total in worst]
        return all(total.within(cap) for total in totals for cap in caps)

    fits = len(new)
    if caps and not within(fits):  # what is charged only ever adds up
        fits = bisect.bisect_left(range(1, fits), True, key=lambda count: not within(count))
    return UnitTotal(
        unit.value,
        privacy.delta,
        unit.neighbours,
        _sum(Total(), new, unit, grid).epsilon(privacy.delta),
        largest_epsilon([_sum(total, new, unit, grid) for total in worst], privacy.delta),
        min(caps, key=lambda cap: cap.epsilon, default=None),
        fits,
    )


def charge_all(charges: list[Charge], home: Home, cap: Budget | None = None) -> list[Entry]:
    """Reserve every charge, or none of them.

    Args:
        charges: what is to be paid.
        home: where the ledger is.
        cap: the recipe's own, beside the account's.

    Raises:
        BudgetRefused: they do not all fit; what was reserved is given back.
    """
    ledger, made = Ledger(home.database_url), []
    try:
        for one in charges:
            entry = reserve(ledger, one, cap=cap)
            made.append(entry)
    except BudgetRefused:
        for entry in made:
            if entry.state == "reserved":
                ledger.void(entry)
        raise
    return made


def panel_of(grid: Grid) -> Panel:
    """The panel that all points share, raw."""
    points = grid.points()
    # where any point has a mechanism, nothing is read off events that is not declared
    recipe = grid.at(next((one for one in points if one.mechanism != "none"), points[0]), 0)
    return validate.to_panel(ingest_step.fn(recipe), max_gap=recipe.source.max_gap)[0]


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
        return prepare(Privatised(panel, panel, Guarantee()), panel, config, repair=False)

    charges: dict[str, Charge] = {}
    for point in points:
        if point.mechanism == "none":
            continue
        for seed in range(grid.seeds):
            recipe = grid.at(point, seed, rates.get(point))
            for charge in _of(recipe, panel, windows, home):
                charges[charge.key] = charge
    return list(charges.values())


def _of(
    recipe: Recipe, panel: Panel, windows: Callable[[WindowConfig], Prepared], home: Home
) -> list[Charge]:
    """The charges of one training."""
    private = recipe.privacy.mechanism == "gradient"
    counts = not private or recipe.privacy.protect_inputs
    paid = [privatise.charge(panel, recipe, home)] if counts else []
    return [*paid, train.charge(windows(recipe.windows), recipe, home)] if private else paid


def _sum(total: Total, charges: list[Charge], unit: Unit, grid: TimeGrid) -> Total:
    for one in charges:
        total = total.plus(event_for_unit(unit, one, grid))
    return total
