"""Cost of a unit in counts that share an offset: against the covariance, and against exact laws."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dp.accounting.rounding import ROUNDING, rounded_delta, rounded_variance
from dp.accounting.shared_offset import GroupCost


def by_covariance(cost: GroupCost, change: np.ndarray) -> float:
    """dᵀΛd, of the Gaussians that are rounded."""
    count, offset = cost.variances
    covariance = count * np.eye(cost.cells) + offset
    return float(change @ np.linalg.solve(covariance, change))


costs = st.builds(
    GroupCost,
    sigma=st.floats(3.0, 100.0),
    offset=st.floats(3.0, 100.0),
    grid=st.sampled_from([1, 2, 8]),
    cells=st.integers(1, 12),
    weight=st.integers(1, 3),
)


@settings(max_examples=200, deadline=None)
@given(costs, st.data())
def test_no_change_costs_more(cost: GroupCost, data: st.DataObject) -> None:
    change = np.array(
        data.draw(st.lists(st.integers(0, cost.weight), min_size=cost.cells, max_size=cost.cells))
    )
    ones = np.count_nonzero(change)
    most = max(cost.of(number) for number in range(ones + 1))
    assert by_covariance(cost, change) <= most * (1 + 1e-12)


@settings(max_examples=100, deadline=None)
@given(costs, st.data())
def test_a_fine_grid_costs_what_the_covariance_says(cost: GroupCost, data: st.DataObject) -> None:
    ones = data.draw(st.integers(0, cost.cells))
    change = np.zeros(cost.cells)
    change[:ones] = cost.weight
    exact = by_covariance(cost, change)
    coarse = (1 / cost.variances[1] + cost.cells / cost.variances[0]) / (4 * cost.grid**2)
    assert exact * (1 - 1e-12) <= cost.of(ones) <= exact + coarse * (1 + 1e-9) + 1e-15


@settings(max_examples=100, deadline=None)
@given(costs)
def test_the_cost_is_concave_straight_between_corners_and_largest_at_its_peak(
    cost: GroupCost,
) -> None:
    values = [cost.of(ones) for ones in range(cost.cells + 1)]
    assert np.diff(values, 2).max(initial=-1.0) <= 1e-12 * max(values)
    assert cost.of(cost.peak(cost.cells)) == max(values)
    corners = [0.0, *cost.corners(cost.cells), float(cost.cells)]
    for first, last in itertools.pairwise(corners):
        between = (cost.of(first) + cost.of(last)) / 2
        assert cost.of((first + last) / 2) == pytest.approx(between, rel=1e-9)


def law(parameter: float, grid: int, steps: int) -> np.ndarray:
    """Probabilities of a discrete Gaussian on the grid, from −steps to steps."""
    points = np.arange(-steps, steps + 1) / grid
    weights = np.exp(-((points / parameter) ** 2) / 2)
    return weights / weights.sum()


@pytest.mark.parametrize(("sigma", "offset", "grid"), [(3.0, 2.0, 1), (1.5, 1.2, 2), (2.0, 4.0, 2)])
def test_exact_laws_of_two_counts_lose_no_more(sigma: float, offset: float, grid: int) -> None:
    cost = GroupCost(sigma, offset, grid, cells=2)
    steps = 30 * grid
    shared, single = law(offset, grid, steps), law(sigma, grid, steps)
    size = 4 * steps + 1
    joint = np.zeros((size, size))
    for place, chance in enumerate(shared):
        here = np.zeros(size)
        here[place : place + 2 * steps + 1] = single
        joint += chance * np.outer(here, here)
    worst = max(cost.of(1), cost.of(2))
    most = dict.fromkeys((0.1, 0.5, 1.0), 0.0)
    for change in ((0, 1), (1, 0), (1, 1)):
        moved = np.roll(joint, tuple(grid * step for step in change), (0, 1))
        for epsilon, (one, other) in itertools.product(most, ((joint, moved), (moved, joint))):
            delta = float(np.maximum(one - math.exp(epsilon) * other, 0).sum())
            most[epsilon] = max(most[epsilon], delta)
    for epsilon, delta in most.items():
        promised = rounded_delta(math.sqrt(worst), 6, epsilon)
        assert delta <= promised
        assert epsilon > 0.1 or delta > promised * 0.5, "the bound says nothing"


def test_what_no_grid_holds_is_refused() -> None:
    with pytest.raises(ValueError, match=r"sigma=0\.2 to be at least two steps of 1/8 person"):
        rounded_variance(0.2, 8)
    with pytest.raises(ValueError, match="two steps"):
        GroupCost(50.0, 0.1, 4, 10).of(3)
    assert rounded_variance(5.0, 2) == 25.0 - ROUNDING / 4
