"""Designs of least variance: check values of the issue's table, and where nothing is gained."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dp.accounting.rounding import rounded_delta
from dp.accounting.shared_offset import GroupCost
from dp.accounting.worst_case import worst_case
from dp.budget import Budget
from dp.mechanisms.count_noise import CountNoise, calibrate
from dp.mechanisms.design import Noise, least_noise
from dp.mechanisms.offset_noise import OffsetNoise
from dp.unit.contribution import ContributionBound
from dp.unit.contribution_set import ROOT, ContributionSet
from dp.unit.privacy_unit import PrivacyUnit

BUDGET = Budget(1.0, 1e-7)
PARIS = (ROOT, 0, 0, 0, 0, 0)


def ratio(
    intervals: int,
    most: int,
    regions: int,
    ever: int = 0,
    parents: tuple[int, ...] = (),
    per: PrivacyUnit = PrivacyUnit.USER,
) -> float:
    unit = ContributionSet(ContributionBound(intervals, most), regions, ever, parents)
    noise = least_noise(BUDGET, unit, per=per, cells=intervals)
    return noise.deviation / calibrate(BUDGET, unit.bound).sigma


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((3456, 2, 6, 0, PARIS), 0.656),
        ((3456, 2, 6), 0.82),
        ((3456, 1, 6), 0.92),
        ((3456, 1, 6, 1), 0.51),
        ((3456, 1, 6, 2), 0.72),
        ((3456, 1, 6, 3), 0.83),
        ((336, 1, 6, 1, (), PrivacyUnit.USER_WEEK), 0.53),
        ((48, 1, 6, 1, (), PrivacyUnit.USER_DAY), 0.57),
    ],
)
def test_noise_against_independent_noise(arguments: tuple[Any, ...], expected: float) -> None:
    assert ratio(*arguments) == pytest.approx(expected, abs=0.007)


def test_check_value_of_paris_cdr() -> None:
    unit = ContributionSet(ContributionBound(3456, 2), 6, parents=PARIS)
    noise = least_noise(BUDGET, unit, per=PrivacyUnit.USER, cells=3456)
    assert isinstance(noise, OffsetNoise)
    assert calibrate(BUDGET, unit.bound).sigma == pytest.approx(389.0, abs=0.05)
    assert noise.sigma == pytest.approx(253.2, rel=0.003)
    assert noise.offset == pytest.approx(33.0, rel=0.01)
    assert noise.deviation == pytest.approx(255.4, rel=0.0025)
    assert noise.epsilon == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("per", [None, PrivacyUnit.USER_INTERVAL])
def test_noise_is_independent_where_nothing_shares_an_offset(per: PrivacyUnit | None) -> None:
    unit = ContributionSet(ContributionBound(1, 1), 6)
    assert least_noise(BUDGET, unit, per=per, cells=1) == calibrate(BUDGET, unit.bound)


def test_noise_is_independent_where_little_is_gained() -> None:
    unit = ContributionSet(ContributionBound(3456, 1), 100)
    noise = least_noise(BUDGET, unit, per=PrivacyUnit.USER, cells=3456)
    assert noise == calibrate(BUDGET, unit.bound)


def test_a_bound_that_nobody_reaches_gains_nothing() -> None:
    # ten of 3456 intervals: an offset would hide nothing
    unit = ContributionSet(ContributionBound(10, 1), 2)
    noise = least_noise(BUDGET, unit, per=PrivacyUnit.USER, cells=3456)
    assert isinstance(noise, CountNoise)


@settings(max_examples=25, deadline=None)
@given(
    epsilon=st.floats(0.1, 8.0),
    delta=st.sampled_from([1e-5, 1e-7, 1e-10]),
    cells=st.integers(2, 400),
    most=st.integers(1, 2),
    weight=st.integers(1, 3),
    ever=st.integers(0, 3),
    nested=st.booleans(),
)
def test_a_design_keeps_its_budget_and_is_never_worse(
    epsilon: float, delta: float, cells: int, most: int, weight: int, ever: int, nested: bool
) -> None:
    if ever and ever < most:
        return
    parents = (ROOT, 0, ROOT, ROOT) if nested and most == 2 else ()
    unit = ContributionSet(ContributionBound(cells, most, weight), 4, ever, parents)
    budget = Budget(epsilon, delta)
    noise: Noise = least_noise(budget, unit, per=PrivacyUnit.USER, cells=cells)
    assert noise.deviation <= calibrate(budget, unit.bound).sigma
    assert noise.epsilon <= epsilon
    if isinstance(noise, OffsetNoise):
        cost = GroupCost(noise.sigma, noise.offset, noise.grid, cells, weight)
        mu = worst_case(unit, cost) ** 0.5
        assert rounded_delta(mu, 4 * (cells + 1), epsilon) <= delta
        assert noise.epsilon > epsilon * 0.999, "noise is wasted"


def test_noise_has_few_digits_so_that_it_is_the_same_on_every_machine() -> None:
    unit = ContributionSet(ContributionBound(3456, 3), 6, parents=(ROOT, 0, 0, 1, 1, 2))
    noise = least_noise(BUDGET, unit, per=PrivacyUnit.USER, cells=3456)
    assert isinstance(noise, OffsetNoise)
    assert noise.sigma == float(f"{noise.sigma:.7g}")
    ratio = float(f"{noise.offset / noise.sigma:.3g}")
    assert noise.offset == noise.sigma * ratio
