"""Worst case where regions lie within others.

A unit is counted in an interval in a set of at most M regions that holds the outer regions of each of
its members. Over K intervals the numbers of counts k are K times a mean of such sets, and the largest
Σ f(k) is found by its dual: for any prices w, one for each region,

    Σ f(k) ≤ K · max over sets S of Σ_{S} w + Σ max over x in [0, K] of f(x) − w·x,

so that prices which a solver finds nearly optimal still give a bound that holds. Regions that can
be exchanged have one price: f is concave, and the mean of two solutions is no worse than both.

What a solver finds differs in its last digits from machine to machine. Bounds are rounded up to fewer
digits, so that ledgers and releases are the same everywhere.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from dp.accounting.shared_offset import GroupCost
from dp.unit.contribution import ContributionBound
from dp.unit.contribution_set import ROOT, ContributionSet

Floats = NDArray[np.float64]
Parents = tuple[int, ...]
BestSets = list[tuple[float, tuple[int, ...]]]
"""Largest sum of prices with its regions, for each number of regions."""

_MOST_SUPPORTS, _MOST_KINDS = 200, 24
_ABOVE = 1 + 1e-12
"""Covers the rounding of the last sums."""
_DIGITS = 24
"""Binary digits of a bound."""


def nested_worst_case(
    parents: Parents, bound: ContributionBound, cost: GroupCost
) -> tuple[float, tuple[float, ...]]:
    """Return the largest μ² of a unit that may be in all of the regions; never below the true one.

    With it comes the number of counts of each region that cost as much, parts of a count included.

    Args:
        parents: position of the region that each lies in, or `ROOT`.
        bound: K, M and w_max of the unit.
        cost: of the counts of one region.
    """
    kinds = kinds_of(parents)
    number = np.array([kinds.count(kind) for kind in range(max(kinds) + 1)])
    most = min(bound.intervals, cost.cells)
    corners = np.array([0.0, *cost.corners(most), float(most)])
    values = np.array([cost.of(corner) for corner in corners])
    if cost.weight > 1:
        # who is counted in an outer region may add less to it: fewer counts there may cost more
        values = np.maximum.accumulate(values)
    # solvers have absolute tolerances: costs and counts as shares of the largest
    unit, shares = values.max(), corners / most
    held = most / bound.intervals
    sets = [(0,) * len(number)]
    best = np.inf
    while True:
        prices, parts = _prices(number, shares, values / unit, np.array(sets) / held)
        worth, chosen = dearest_set(parents, bound.regions, [float(prices[kind]) for kind in kinds])
        rest = (values / unit - np.outer(prices, shares)).max(axis=1)
        best = min(best, worth / held + float(number @ rest))
        counted = tuple(
            sum(kinds[region] == kind for region in chosen) for kind in range(len(number))
        )
        if counted in sets:  # the prices are the best ones
            each = (parts @ np.array(sets)) / number * bound.intervals
            return rounded_up(float(best * unit)), tuple(float(each[kind]) for kind in kinds)
        sets.append(counted)


def rounded_up(value: float) -> float:
    """Return the next number above a bound that has few digits."""
    mantissa, exponent = math.frexp(value * _ABOVE)
    return math.ldexp(math.ceil(math.ldexp(mantissa, _DIGITS)), exponent - _DIGITS)


def _prices(number: Floats, shares: Floats, values: Floats, sets: Floats) -> tuple[Floats, Floats]:
    """Return the prices, one for each kind of region, with the smallest bound over some sets.

    With them comes the share of each set in the mean that costs most.

    Args:
        number: regions of each kind.
        shares: of all intervals, where the cost changes its slope.
        values: cost at these.
        sets: regions of each kind in each set, times K over the most counts of a region.
    """
    kinds, places = len(number), len(shares)
    # columns: the price of each kind, its best f(x) − w·x, and the worth of the best set
    below = np.zeros((kinds * places, 2 * kinds + 1))
    for kind in range(kinds):
        rows = slice(kind * places, (kind + 1) * places)
        below[rows, kind], below[rows, kinds + kind] = -shares, -1.0
    worth = np.hstack([sets, np.zeros((len(sets), kinds)), np.full((len(sets), 1), -1.0)])
    found = linprog(
        np.concatenate([np.zeros(kinds), number, [1.0]]),
        A_ub=np.vstack([below, worth]),
        b_ub=np.concatenate([np.tile(-values, kinds), np.zeros(len(sets))]),
        bounds=[(None, None)] * (2 * kinds) + [(0.0, None)],
    )
    if found.x is None:
        raise RuntimeError(f"the worst case of nested regions was not found: {found.message}")
    return np.asarray(found.x[:kinds]), -np.asarray(found.ineqlin.marginals[-len(sets) :])


def dearest_set(parents: Parents, most: int, prices: list[float]) -> tuple[float, tuple[int, ...]]:
    """Return the largest sum of prices of a set of regions, and the set; outer regions come along.

    A knapsack over the forest: for each region the best sets of each size within it.
    """
    inner = children_of(parents)

    def joined(left: BestSets, right: BestSets) -> BestSets:
        result: BestSets = []
        for size in range(min(most, len(left) + len(right) - 2) + 1):
            pairs = [
                (left[one][0] + right[size - one][0], (*left[one][1], *right[size - one][1]))
                for one in range(max(0, size - len(right) + 1), min(size, len(left) - 1) + 1)
            ]
            result.append(max(pairs))
        return result

    def within(region: int) -> BestSets:
        sets: BestSets = [(0.0, ())]
        for child in inner[region]:
            sets = joined(sets, within(child))
        if region == ROOT:
            return sets
        own = [(price + prices[region], (*chosen, region)) for price, chosen in sets[:most]]
        return [(0.0, ()), *own]

    return max(within(ROOT))


def kinds_of(parents: Parents) -> list[int]:
    """Return a number for each region; regions with the same number can be exchanged."""
    inner = children_of(parents)

    @cache
    def shape(region: int) -> tuple[object, ...]:
        return tuple(sorted(map(shape, inner[region]), key=repr))

    @cache
    def place(region: int) -> tuple[object, ...]:
        return () if region == ROOT else (*place(parents[region]), shape(region))

    places = [place(region) for region in range(len(parents))]
    numbers = {one: number for number, one in enumerate(dict.fromkeys(places))}
    return [numbers[one] for one in places]


def children_of(parents: Parents) -> dict[int, list[int]]:
    """Return the regions directly within each region, and within none (`ROOT`)."""
    inner: dict[int, list[int]] = {region: [] for region in (ROOT, *range(len(parents)))}
    for region, parent in enumerate(parents):
        inner[parent].append(region)
    return inner


@lru_cache(maxsize=64)
def supports(unit: ContributionSet) -> tuple[Parents, ...]:
    """Return the nestings that G different regions of a unit can have among themselves.

    Raises:
        ValueError: there are too many to try, or regions of too many kinds.
    """
    kinds = kinds_of(unit.parents)
    if max(kinds) >= _MOST_KINDS:
        raise ValueError(
            f"regions are nested in {max(kinds) + 1} different ways, expected at most {_MOST_KINDS}; "
            'declare fewer of them in source.nested, or choose privacy.noise="independent"'
        )
    if unit.ever == unit.regions:
        return (unit.parents,)
    inner = children_of(unit.parents)

    def shape(chosen: frozenset[int], region: int = ROOT) -> tuple[object, ...]:
        within = sorted(
            (shape(chosen, child) for child in inner[region] if child in chosen), key=repr
        )
        return (kinds[region] if region != ROOT else ROOT, *within)

    found = {shape(frozenset()): frozenset[int]()}
    for _ in range(unit.ever):
        grown: dict[tuple[object, ...], frozenset[int]] = {}
        for chosen in found.values():
            for region in range(unit.regions):
                parent = unit.parents[region]
                if region not in chosen and (parent == ROOT or parent in chosen):
                    more = chosen | {region}
                    grown.setdefault(shape(more), more)
        found = grown
        if len(found) > _MOST_SUPPORTS:
            raise ValueError(
                f"{unit.ever} different regions can be nested in more than {_MOST_SUPPORTS} ways; "
                "declare which regions are nested, or how many a person is ever in, not both"
            )
    return tuple(dict.fromkeys(_nesting(unit.parents, chosen) for chosen in found.values()))


def _nesting(parents: Parents, chosen: frozenset[int]) -> Parents:
    order = {region: place for place, region in enumerate(sorted(chosen))}
    return tuple(order.get(parents[region], ROOT) for region in sorted(chosen))
