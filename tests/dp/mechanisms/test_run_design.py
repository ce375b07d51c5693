"""Calibration of noise on runs: check values, budgets kept, nothing better left out."""

from __future__ import annotations

import pytest

from dp.accounting.run_cost import fractional_difference, runs_cost
from dp.budget import Budget
from dp.mechanisms.count_noise import calibrate
from dp.mechanisms.run_design import GRID, best_filter, least_run_noise
from dp.mechanisms.run_noise import mean_gain
from dp.unit.contribution import ContributionBound
from dp.unit.run_set import RunSet

BUDGET = Budget(1.0, 1e-7)
HALF_HOURS = ContributionBound(3456, 1)


@pytest.mark.parametrize(
    ("runs", "expected", "at_most"),
    [(1, 0.40, 0.46), (2, 0.50, 0.57), (4, 0.62, 0.69), (8, 0.75, 0.81)],
)
def test_the_noise_of_so_many_runs_a_day(runs: int, expected: float, at_most: float) -> None:
    noise = least_run_noise(BUDGET, RunSet(HALF_HOURS, 6, runs * 72), 3456)
    ratio = noise.deviation / calibrate(BUDGET, HALF_HOURS).sigma
    assert ratio == pytest.approx(expected, abs=0.01)
    assert ratio < at_most


@pytest.mark.parametrize(
    ("gamma", "runs", "expected"),
    [(0.35, 1, 0.46), (0.33, 2, 0.57), (0.30, 4, 0.69), (0.25, 8, 0.81)],
)
def test_filters_without_a_band_need_more(gamma: float, runs: int, expected: float) -> None:
    """The ratios of the whole spectrum, which was thought of first."""
    taps = fractional_difference(gamma, 3455, 1 << 20)
    cost = runs_cost(taps, RunSet(HALF_HOURS, 6, runs * 72)) / taps[0] ** 2 / 3456
    assert cost**0.5 * mean_gain(taps, 3456) == pytest.approx(expected, abs=0.025)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("intervals", [1, 16, 3456])
def test_the_budget_is_kept_and_used_up(epsilon: float, intervals: int) -> None:
    unit = RunSet(ContributionBound(intervals, 1), 6, runs=3)
    noise = least_run_noise(Budget(epsilon, 1e-6), unit, 3456)
    assert epsilon * (1 - 1e-3) < noise.epsilon <= epsilon


def test_the_filter_is_not_worse_than_others() -> None:
    unit = RunSet(HALF_HOURS, 6, 4 * 72)

    def variance(taps: tuple[int, ...]) -> float:
        return runs_cost(taps, unit) * mean_gain(taps, 3456) ** 2

    best = variance(best_filter(unit, 3456))
    for gamma in (0.05, 0.42, 0.7, 0.9):
        for band in (1, 2, 3, 5, 9):
            assert best <= variance(fractional_difference(gamma, band, GRID)) * 1.02**2


def test_a_smaller_common_level_is_preferred_to_the_last_percent() -> None:
    unit = RunSet(HALF_HOURS, 6, 2 * 72)
    noise = least_run_noise(BUDGET, unit, 3456)
    before = calibrate(BUDGET, HALF_HOURS).sigma
    assert noise.deviation_of_mean(48) < 1.4 * before / 48**0.5
    assert noise.deviation_of_mean(1) == pytest.approx(noise.deviations[1])
    assert noise.deviation_of_mean(3456) < 1.45 * before / 3456**0.5


def test_with_very_little_noise_the_grid_still_holds_it() -> None:
    unit = RunSet(ContributionBound(1, 1), 2, runs=1)
    noise = least_run_noise(Budget(500.0, 0.4), unit, 10)
    assert noise.sigma * noise.grid >= 2
