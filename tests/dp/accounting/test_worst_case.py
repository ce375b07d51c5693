"""Worst case of contribution sets: against every change of tiny panels, and check values."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from dp.accounting.gaussian import gaussian_mu
from dp.accounting.nested import children_of
from dp.accounting.shared_offset import GroupCost
from dp.accounting.worst_case import worst_case
from dp.budget import Budget
from dp.unit.contribution import ContributionBound
from dp.unit.contribution_set import ROOT, ContributionSet


def rows_of(unit: ContributionSet) -> list[tuple[int, ...]]:
    """Everything that a unit can add to the counts of one interval."""
    rows = []
    for row in itertools.product(range(unit.bound.weight + 1), repeat=unit.regions):
        inside = [region for region, added in enumerate(row) if added]
        closed = all(
            row[region] <= row[outer] for region in inside for outer in unit.around(region)[1:]
        )
        if len(inside) <= unit.bound.regions and closed:
            rows.append(row)
    return rows


def by_trying(unit: ContributionSet, cost: GroupCost) -> float:
    """The largest cost over all changes, each at the best shift of the offsets on the grid."""
    count, offset = cost.variances
    shifts = np.arange(-cost.grid, (cost.weight + 1) * cost.grid + 1) / cost.grid
    most = 0.0
    rows = rows_of(unit)
    none = (0,) * unit.regions
    for panel in itertools.combinations_with_replacement(rows, cost.cells):
        change = np.array(panel, dtype=float)
        if sum(row != none for row in panel) > unit.bound.intervals:
            continue
        if np.count_nonzero(change.any(axis=0)) > unit.ever:
            continue
        left = change[:, :, None] - shifts
        each = shifts**2 / offset + (left**2).sum(axis=0) / count
        most = max(most, float(each.min(axis=1).sum()))
    return most


FLAT = [
    (3, 2, 1, 3, 0, 1),
    (3, 3, 1, 3, 1, 1),
    (3, 3, 2, 3, 2, 1),
    (4, 3, 1, 2, 0, 1),
    (2, 2, 1, 3, 2, 2),
    (4, 4, 2, 2, 0, 1),
]


@pytest.mark.parametrize(("cells", "intervals", "most", "regions", "ever", "weight"), FLAT)
@pytest.mark.parametrize(("sigma", "offset", "grid"), [(4.0, 3.0, 1), (2.0, 4.0, 4), (9.0, 2.0, 2)])
def test_no_change_of_a_tiny_panel_costs_more_and_one_costs_as_much(
    cells: int,
    intervals: int,
    most: int,
    regions: int,
    ever: int,
    weight: int,
    sigma: float,
    offset: float,
    grid: int,
) -> None:
    unit = ContributionSet(ContributionBound(intervals, most, weight), regions, ever)
    cost = GroupCost(sigma, offset, grid, cells, weight)
    assert worst_case(unit, cost) == pytest.approx(by_trying(unit, cost), rel=1e-9)


NESTED = [
    (3, 3, 2, (ROOT, 0, 0)),
    (3, 2, 2, (ROOT, 0, ROOT)),
    (2, 2, 3, (ROOT, 0, 1)),
    (3, 3, 2, (ROOT, 0, ROOT, 2)),
]


@pytest.mark.parametrize(("cells", "intervals", "most", "parents"), NESTED)
@pytest.mark.parametrize(("sigma", "offset", "grid"), [(4.0, 3.0, 1), (2.0, 4.0, 4)])
def test_no_change_of_nested_regions_costs_more(
    cells: int,
    intervals: int,
    most: int,
    parents: tuple[int, ...],
    sigma: float,
    offset: float,
    grid: int,
) -> None:
    unit = ContributionSet(ContributionBound(intervals, most), len(parents), parents=parents)
    cost = GroupCost(sigma, offset, grid, cells)
    tried = by_trying(unit, cost)
    # parts of an interval in several regions are allowed, so that the bound may be a little larger
    assert tried * (1 - 1e-12) <= worst_case(unit, cost) <= tried * 1.2
    loose = worst_case(ContributionSet(unit.bound, len(parents)), cost)
    assert worst_case(unit, cost) <= loose * (1 + 1e-9)


def test_few_regions_of_a_nesting() -> None:
    bound = ContributionBound(3, 2)
    unit = ContributionSet(bound, 4, ever=3, parents=(ROOT, 0, 0, 0))
    cost = GroupCost(4.0, 3.0, 2, 3)
    tried = by_trying(unit, cost)
    assert tried * (1 - 1e-12) <= worst_case(unit, cost) <= tried * 1.2
    fewer = ContributionSet(bound, 3, parents=(ROOT, 0, 0))
    assert worst_case(unit, cost) == pytest.approx(worst_case(fewer, cost))


def test_without_an_offset_it_is_the_sensitivity() -> None:
    bound = ContributionBound(48, 2, 3)
    for unit in (ContributionSet(bound, 5), ContributionSet(bound, 3, parents=(ROOT, 0, 0))):
        cost = GroupCost(40.0, 0.0, 1, 48, 3)
        variance = 40.0**2 - 2
        assert worst_case(unit, cost) == pytest.approx(bound.sensitivity**2 / variance)


def test_check_value_of_paris_cdr() -> None:
    # R1 contains R2..R6 and a person is in one of these: σ = 253.2, s = 33, ε = 1, δ = 1e-7
    unit = ContributionSet(ContributionBound(3456, 2), 6, parents=(ROOT, 0, 0, 0, 0, 0))
    cost = GroupCost(253.2, 33.0, 128, 3456)
    assert math.sqrt(worst_case(unit, cost)) == pytest.approx(
        gaussian_mu(Budget(1.0, 1e-7)), rel=1e-3
    )


def test_a_large_nesting_takes_no_time() -> None:
    inner = [1 + number % 10 for number in range(489)]
    parents = (ROOT, *[0] * 10, *inner)
    assert len(children_of(parents)[0]) == 10
    unit = ContributionSet(ContributionBound(3456, 3), 500, parents=parents)
    cost = GroupCost(382.0, 44.0, 8, 3456)
    loose = worst_case(ContributionSet(unit.bound, 500), cost)
    assert loose / 2 < worst_case(unit, cost) < loose
