"""Worst case of a contribution set: what a unit has to add for the largest cost, found exactly.

Cost is a sum over regions of a concave function of the number of counts that a unit is in. Which
numbers are possible together follows from the contribution set. Without nested regions they are all
that add up to at most M·K with at most K in each of G regions (Gale 1957, Ryser 1957), and equal ones
cost most. With nested ones they are means of the region sets of single intervals, and the largest cost
is the value of a linear programme.
"""

from __future__ import annotations

from collections import Counter

from dp.accounting.nested import nested_worst_case, supports
from dp.accounting.shared_offset import GroupCost
from dp.unit.contribution_set import ContributionSet


def worst_case(unit: ContributionSet, cost: GroupCost) -> float:
    """Return the largest μ² that one unit can cause; never below the true one.

    Args:
        unit: what it can add; its weight is that of `cost`.
        cost: of one group. Every region has one, of all intervals that the unit can be counted in.

    Example:
        >>> from dp.unit import ContributionBound
        >>> unit = ContributionSet(ContributionBound(intervals=3456, regions=1), regions=6, ever=1)
        >>> independent = worst_case(unit, GroupCost(sigma=100.0, offset=0.0, grid=1, cells=3456))
        >>> shared = worst_case(unit, GroupCost(sigma=100.0, offset=17.0, grid=8, cells=3456))
        >>> round(independent, 3), round(shared, 3)
        (0.346, 0.087)
    """
    flat = _flat(unit, cost)
    if not (unit.parents and cost.offset):
        return flat
    nested = max(nested_worst_case(parents, unit.bound, cost)[0] for parents in supports(unit))
    # means of sets also count parts of intervals, which few intervals may not have
    return min(flat, nested)


def worst_presence(unit: ContributionSet, cost: GroupCost) -> tuple[int, ...]:
    """Return in how many counts of each region a unit is that costs next to most; for attacks."""
    if not (unit.parents and cost.offset):
        return _presence(unit, cost)
    nested = [nested_worst_case(parents, unit.bound, cost) for parents in supports(unit)]
    numbers = max(nested)[1]
    return tuple(round(number) for number in numbers) + (0,) * (unit.regions - len(numbers))


def _flat(unit: ContributionSet, cost: GroupCost) -> float:
    return sum(number * cost.of(ones) for ones, number in Counter(_presence(unit, cost)).items())


def _presence(unit: ContributionSet, cost: GroupCost) -> tuple[int, ...]:
    bound = unit.bound
    most = cost.peak(min(bound.intervals, cost.cells))
    each, more = divmod(min(bound.cells, unit.ever * most), unit.ever)
    return (each + 1,) * more + (each,) * (unit.ever - more) + (0,) * (unit.regions - unit.ever)
