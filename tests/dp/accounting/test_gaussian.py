import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dp.accounting.gaussian import (
    discrete_delta,
    discrete_epsilon,
    discrete_rho,
    discrete_sigma,
    gaussian_delta,
    gaussian_epsilon,
    gaussian_mu,
    zcdp_delta,
    zcdp_epsilon,
)
from dp.budget import Budget
from dp.unit.contribution import ContributionBound

epsilons = st.floats(0.01, 20)
deltas = st.floats(1e-10, 1e-3)
bounds = st.builds(ContributionBound, intervals=st.integers(1, 5000), regions=st.integers(1, 4))


@pytest.mark.parametrize(
    ("sensitivity", "expected", "places"),
    # The design's figures, and the same computed with forty digits (docs/decisions/0003).
    [
        (math.sqrt(3456), 1.784957530500495, 1e-9),
        (math.sqrt(2 * 3456), 2.596601926796673, 1e-9),
        (1.0, 0.023857651751774825, 1e-11),
        (math.sqrt(3456), 1.783, 0.003),
        (math.sqrt(2 * 3456), 2.59, 0.008),
        (1.0, 0.0238, 0.0001),
    ],
)
def test_check_values(sensitivity: float, expected: float, places: float) -> None:
    assert gaussian_epsilon(sensitivity / 160.006, 1e-7) == pytest.approx(expected, abs=places)


def test_sigma_of_the_real_data_set() -> None:
    bound = ContributionBound(intervals=3456, regions=2)
    assert bound.sensitivity == pytest.approx(math.sqrt(6912))
    assert discrete_sigma(Budget(1.0, 1e-7), bound) == pytest.approx(388.977, abs=0.001)


@settings(max_examples=30, deadline=None)
@given(mu=st.floats(0.02, 3), delta=st.floats(1e-8, 1e-3))
def test_gaussian_agrees_with_privacy_loss_distributions(mu: float, delta: float) -> None:
    from dp_accounting.pld import privacy_loss_distribution as pld

    theirs = pld.from_gaussian_mechanism(1 / mu, value_discretization_interval=1e-4)
    expected = theirs.get_epsilon_for_delta(delta)
    assert gaussian_epsilon(mu, delta) == pytest.approx(expected, rel=1e-3, abs=2e-4)


@given(epsilon=epsilons, delta=deltas)
def test_calibration_is_the_inverse_of_the_account(epsilon: float, delta: float) -> None:
    mu = gaussian_mu(Budget(epsilon, delta))
    assert gaussian_delta(mu, epsilon) <= delta
    assert gaussian_epsilon(mu, delta) == pytest.approx(epsilon, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(epsilon=epsilons, delta=deltas, bound=bounds)
def test_calibrated_sigma_keeps_the_budget(
    epsilon: float, delta: float, bound: ContributionBound
) -> None:
    sigma = discrete_sigma(Budget(epsilon, delta), bound)
    assert discrete_delta(sigma, bound, epsilon) <= delta
    assert discrete_epsilon(sigma, bound, delta) <= epsilon * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(
    sigma=st.floats(0.3, 60),
    cells=st.integers(1, 6),
    weight=st.integers(1, 3),
    epsilon=st.floats(0.05, 6),
)
def test_discrete_bound_is_never_below_the_exact_delta(
    sigma: float, cells: int, weight: int, epsilon: float
) -> None:
    """Oracle: the law of the sum of discrete Gaussians, convolved one by one on the lattice."""
    bound = ContributionBound(intervals=cells, regions=1, weight=weight)
    points = np.arange(-math.ceil(12 * sigma), math.ceil(12 * sigma) + 1)
    one = np.exp(-(points**2) / (2 * sigma**2))
    one /= one.sum()
    total = np.ones(1)
    for _ in range(cells):
        total = np.convolve(total, one)
    support = np.arange(len(total)) - (len(total) - 1) // 2
    # The loss at sum s is (w·s + n·w²/2)/σ² against a panel moved by w in n counts.
    loss = (weight * support + cells * weight**2 / 2) / sigma**2
    exact = float(np.sum(total * np.maximum(0.0, 1 - np.exp(epsilon - loss)), where=loss > epsilon))
    assume(exact > 1e-12)
    bounded = discrete_delta(sigma, bound, epsilon)
    assert bounded >= exact * (1 - 1e-6)
    if weight == 1 and sigma > 20 and exact < 1e-3:
        assert bounded == pytest.approx(exact, rel=0.15)


@settings(max_examples=40, deadline=None)
@given(sigma=st.floats(0.6, 500), bound=bounds, delta=deltas)
def test_discrete_is_between_the_continuous_curve_and_zcdp(
    sigma: float, bound: ContributionBound, delta: float
) -> None:
    ours = discrete_epsilon(sigma, bound, delta)
    assert ours <= zcdp_epsilon(discrete_rho(sigma, bound), delta) * (1 + 1e-9)
    if sigma > 5 and 0.01 < ours < 20 and bound.cells > 40:
        exact = gaussian_epsilon(bound.sensitivity / sigma, delta)
        assert exact * (1 - 1e-3) <= ours <= exact * (1 + 0.02)


@settings(max_examples=40, deadline=None)
@given(rho=st.floats(1e-5, 5), epsilon=epsilons)
def test_zcdp_curve_is_above_the_gaussian_it_covers(rho: float, epsilon: float) -> None:
    assert zcdp_delta(rho, epsilon) >= gaussian_delta(math.sqrt(2 * rho), epsilon) * (1 - 1e-9)


def test_more_noise_less_epsilon() -> None:
    bound = ContributionBound(intervals=48, regions=1)
    reached = [discrete_epsilon(sigma, bound, 1e-7) for sigma in (5, 10, 20, 40, 80)]
    assert reached == sorted(reached, reverse=True)


@pytest.mark.parametrize(
    ("epsilon", "delta", "named"),
    [
        (0, 1e-7, "epsilon=0"),
        (-1, 1e-7, "epsilon=-1"),
        (math.inf, 1e-7, "epsilon=inf"),
        (math.nan, 1e-7, "epsilon=nan"),
        (1, 0, "delta=0"),
        (1, 1, "delta=1"),
        (1, 2, "delta=2"),
    ],
)
def test_budget_refuses_what_means_nothing(epsilon: float, delta: float, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Budget(epsilon, delta)
