"""Nested regions: the dual bound against the primal programme over all sets, and its parts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from dp.accounting.nested import (
    dearest_set,
    kinds_of,
    nested_worst_case,
    rounded_up,
    supports,
)
from dp.accounting.shared_offset import GroupCost
from dp.unit.contribution import ContributionBound
from dp.unit.contribution_set import ROOT, ContributionSet


@st.composite
def forests(draw: st.DrawFn, most: int = 6) -> tuple[int, ...]:
    size = draw(st.integers(1, most))
    return tuple(draw(st.integers(ROOT, region - 1)) for region in range(size))


def closed_sets(parents: tuple[int, ...], most: int) -> list[tuple[int, ...]]:
    return [
        chosen
        for size in range(most + 1)
        for chosen in itertools.combinations(range(len(parents)), size)
        if all(parents[region] in (ROOT, *chosen) for region in chosen)
    ]


@settings(max_examples=80, deadline=None)
@given(forests(), st.integers(1, 4), st.data())
def test_the_dearest_set(parents: tuple[int, ...], most: int, data: st.DataObject) -> None:
    prices = data.draw(st.lists(st.floats(-5, 5), min_size=len(parents), max_size=len(parents)))
    worth, chosen = dearest_set(parents, most, prices)
    sets = closed_sets(parents, most)
    assert tuple(sorted(chosen)) in sets
    assert worth == pytest.approx(max(sum(prices[region] for region in one) for one in sets))
    assert worth == pytest.approx(sum(prices[region] for region in chosen))


def by_primal(parents: tuple[int, ...], bound: ContributionBound, cost: GroupCost) -> float:
    """The largest cost, by a linear programme over all sets without any symmetry."""
    sets, regions = closed_sets(parents, bound.regions), len(parents)
    top = min(bound.intervals, cost.cells)
    corners = [0.0, *cost.corners(top), float(top)]
    values = [cost.of(corner) for corner in corners]
    rows: list[np.ndarray] = []
    right: list[float] = []
    for region in range(regions):
        member = np.array([float(region in one) for one in sets])
        rows.append(np.concatenate([member, np.zeros(regions)]))
        right.append(top)
        for (a, fa), (b, fb) in itertools.pairwise(zip(corners, values, strict=True)):
            slope = (fb - fa) / (b - a)
            own = np.zeros(regions)
            own[region] = 1.0
            rows.append(np.concatenate([-slope * member, own]))
            right.append(fa - slope * a)
    rows.append(np.concatenate([np.ones(len(sets)), np.zeros(regions)]))
    right.append(bound.intervals)
    goal = np.concatenate([np.zeros(len(sets)), -np.ones(regions)])
    found = linprog(goal, A_ub=np.array(rows), b_ub=np.array(right))
    return float(-found.fun)


@settings(max_examples=60, deadline=None)
@given(
    forests(),
    st.integers(1, 3),
    st.integers(1, 12),
    st.sampled_from([(4.0, 3.0, 1), (2.0, 6.0, 4), (9.0, 2.0, 2)]),
)
def test_the_dual_bound_is_the_largest_cost(
    parents: tuple[int, ...], most: int, intervals: int, noise: tuple[float, float, int]
) -> None:
    bound = ContributionBound(intervals, most)
    sigma, offset, grid = noise
    cost = GroupCost(sigma, offset, grid, 12)
    best = by_primal(parents, bound, cost)
    assert best * (1 - 1e-7) <= nested_worst_case(parents, bound, cost)[0] <= best * (1 + 1e-6)


def test_regions_that_can_be_exchanged_are_of_one_kind() -> None:
    # two towns with two quarters each, one with one, and a lone region
    parents = (ROOT, 0, 0, ROOT, 3, 3, ROOT, 6, ROOT)
    assert kinds_of(parents) == [0, 1, 1, 0, 1, 1, 2, 3, 4]


def test_nestings_of_few_regions() -> None:
    bound = ContributionBound(2, 1)
    unit = ContributionSet(ContributionBound(2, 2), 5, ever=2, parents=(ROOT, 0, 0, ROOT, ROOT))
    assert set(supports(unit)) == {(ROOT, 0), (ROOT, ROOT)}
    everything = ContributionSet(ContributionBound(2, 2), 3, parents=(ROOT, 0, 0))
    assert supports(everything) == ((ROOT, 0, 0),)
    assert bound.cells == 2


def test_too_many_kinds_are_refused() -> None:
    parents: list[int] = []
    for size in range(1, 14):  # towns and their quarters: two kinds each
        town = len(parents)
        parents += [ROOT, *[town] * size]
    unit = ContributionSet(ContributionBound(2, 2), len(parents), parents=tuple(parents))
    with pytest.raises(ValueError, match=r"in 26 different ways.*privacy\.noise"):
        supports(unit)


def test_too_many_nestings_are_refused() -> None:
    # towns of one, two, three, ... quarters, none like another
    parents: list[int] = []
    for size in range(1, 13):
        town = len(parents)
        parents += [ROOT, *[town] * size]
    unit = ContributionSet(ContributionBound(2, 2), len(parents), ever=12, parents=tuple(parents))
    with pytest.raises(ValueError, match="can be nested in more than 200 ways"):
        supports(unit)


def test_weights_may_be_less_in_outer_regions() -> None:
    # counted in all intervals, but with all of its weight in the outer region in half of them only
    intervals, weight, parents = 400, 3, (ROOT, 0, 0, 0, 0, 0)
    cost = GroupCost(30.0, 6.0, 8, intervals, weight)
    accounted, _ = nested_worst_case(parents, ContributionBound(intervals, 2, weight), cost)

    def least(added: np.ndarray) -> float:
        shifts = np.arange(weight * cost.grid + 1)[:, None] / cost.grid
        counts, offset = cost.variances
        moved = ((added - shifts) ** 2).sum(axis=1) / counts + shifts[:, 0] ** 2 / offset
        return float(moved.min())

    outer = np.where(np.arange(intervals) < intervals // 2, weight, 1)
    inner = np.where(np.arange(intervals) < intervals // 5, weight, 0)
    assert least(outer) + 5 * least(inner) <= accounted


def test_bounds_do_not_depend_on_the_last_digits() -> None:
    bound = ContributionBound(48, 2)
    cost = GroupCost(30.0, 6.0, 8, 48)
    found, _ = nested_worst_case((ROOT, 0, 0), bound, cost)
    assert float(np.float32(found)) == found, "24 binary digits"
    assert rounded_up(found * (1 - 1e-9)) == found
    assert rounded_up(0.1) > 0.1
    assert rounded_up(0.0) == 0.0
