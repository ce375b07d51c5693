"""Cost of runs, against all that a unit can add to tiny panels."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dp.accounting.run_cost import (
    Taps,
    fractional_difference,
    lag_products,
    run_cost,
    runs_cost,
    spread_cost,
)
from dp.mechanisms.run_design import filters
from dp.unit.contribution import ContributionBound
from dp.unit.run_set import RunSet

NOWHERE = 0
FILTERS: tuple[Taps, ...] = ((64,), (64, -32), (64, -28, -7), (64, -38, -7, -3, -2, -1, -1))


def matrix(taps: Taps, times: int) -> NDArray[np.int64]:
    """h·A as a matrix, made without the code that filters."""
    result = np.zeros((times, times), dtype=np.int64)
    for lag, tap in enumerate(taps[:times]):
        result += tap * np.eye(times, k=-lag, dtype=np.int64)
    return result


def runs_of(where: tuple[int, ...]) -> int:
    return sum(place != NOWHERE for place, _ in groupby(where))


def added(where: tuple[int, ...], regions: int) -> NDArray[np.int64]:
    return np.array([[place == region + 1 for region in range(regions)] for place in where], int)


def costs(taps: Taps, times: int, regions: int) -> dict[tuple[int, int], int]:
    """Largest ‖A·d‖² by number of runs and of intervals, over everything that a person can do."""
    filter_, found = matrix(taps, times), dict[tuple[int, int], int]()
    for where in product(range(regions + 1), repeat=times):
        key = runs_of(where), sum(place != NOWHERE for place in where)
        cost = int(np.sum((filter_ @ added(where, regions)) ** 2))
        found[key] = max(found.get(key, 0), cost)
    return found


@pytest.mark.parametrize("taps", FILTERS)
@pytest.mark.parametrize(("times", "regions"), [(7, 1), (6, 2), (5, 3)])
def test_nothing_that_a_person_can_do_costs_more(taps: Taps, times: int, regions: int) -> None:
    found = costs(taps, times, regions)
    for runs in range(1, times + 1):
        for intervals in range(1, times + 1):
            bound = runs_cost(taps, RunSet(ContributionBound(intervals, 1), regions, runs))
            within = [cost for (r, k), cost in found.items() if r <= runs and k <= intervals]
            assert max(within) <= bound


@pytest.mark.parametrize("taps", FILTERS)
def test_the_bound_is_attained_where_counts_go_on_for_long_enough(taps: Taps) -> None:
    where = np.zeros((40, 2), dtype=np.int64)
    where[0:6, 0] = where[6:12, 1] = 1
    unit = RunSet(ContributionBound(12, 1), regions=2, runs=2)
    assert int(np.sum((matrix(taps, 40) @ where) ** 2)) == runs_cost(taps, unit)


@pytest.mark.parametrize("taps", FILTERS)
def test_no_two_neighbours_within_the_bound_are_further_apart_than_twice_its_root(
    taps: Taps,
) -> None:
    filter_ = matrix(taps, 4)
    unit = RunSet(ContributionBound(3, 1), regions=2, runs=2)
    possible = [
        added(where, 2)
        for where in product(range(3), repeat=4)
        if runs_of(where) <= 2 and sum(place != NOWHERE for place in where) <= 3
    ]
    changes = {tuple((one - other).ravel()) for one in possible for other in possible}
    for change in changes:
        moved = np.array(change).reshape(4, 2)
        cost = int(np.sum((filter_ @ moved) ** 2))
        assert cost <= 4 * runs_cost(taps, unit)
        assert cost <= spread_cost(taps, int(np.abs(moved).sum()))


@given(st.sampled_from(filters()), st.integers(1, 120))
def test_a_run_costs_more_the_longer_and_ever_less_so(taps: Taps, length: int) -> None:
    one, two, three = (run_cost(taps, length + more) for more in range(3))
    assert one <= two <= three
    assert three - two <= two - one


@given(
    st.sampled_from(filters()),
    st.lists(st.integers(1, 60), min_size=1, max_size=8),
)
def test_equal_runs_cost_most(taps: Taps, lengths: list[int]) -> None:
    unit = RunSet(ContributionBound(sum(lengths), 1), regions=1, runs=len(lengths))
    assert sum(run_cost(taps, length) for length in lengths) <= runs_cost(taps, unit)


@settings(deadline=None)
@given(st.floats(0, 0.99), st.integers(1, 60), st.sampled_from([16, 64, 256, 1024]))
def test_rounded_fractional_differences_are_filters(gamma: float, band: int, grid: int) -> None:
    taps = fractional_difference(gamma, band, grid)
    assert len(taps) <= band + 1
    assert all(tap < 0 for tap in taps[1:])
    assert sum(taps) >= 0
    assert all(value <= 0 for value in lag_products(taps)[1:])


def test_the_lengths_of_series_change_nothing_but_downwards() -> None:
    taps = FILTERS[3]
    for start in range(12):
        where = np.zeros(12, dtype=np.int64)
        where[start : start + 3] = 1
        length = int(where.sum())
        cost = int(np.sum((matrix(taps, 12) @ where) ** 2))
        assert cost <= run_cost(taps, length)
        assert cost == run_cost(taps, length) or start + length + len(taps) > 12


@pytest.mark.parametrize("taps", [(64, 32), (64, -32, 0, -40), (), (48, -3)])
def test_filters_for_which_runs_do_not_add_up_are_refused(taps: Taps) -> None:
    with pytest.raises(ValueError, match="expected"):
        lag_products(taps)


def test_gamma_is_checked() -> None:
    with pytest.raises(ValueError, match="gamma=1"):
        fractional_difference(1.0, 3, 64)
