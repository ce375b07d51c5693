"""The sliding-window accountant against integrals, exact Gaussians, dp-accounting and Opacus."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from dp.accounting.gaussian import gaussian_delta, gaussian_epsilon
from dp.accounting.sliding_window import (
    CellNoise,
    epsilon_of,
    epsilon_path,
    naive_epsilon,
    noise_for,
    step_delta,
)
from dp.budget import Budget

RATE = 512 / 3114
DELTA = 1e-7


def mixture(points: np.ndarray, means: np.ndarray, masses: np.ndarray, noise: float) -> np.ndarray:
    return norm.pdf(points[:, None], means, noise) @ masses


def integrated(
    means_p: np.ndarray, means_q: np.ndarray, masses: np.ndarray, noise: float, epsilon: float
) -> float:
    """Hockey-stick divergence of two mixtures by brute force."""
    reach = max(np.abs(means_p).max(), np.abs(means_q).max()) + 12 * noise
    points = np.linspace(-reach, reach, 40_001)
    p, q = mixture(points, means_p, masses, noise), mixture(points, means_q, masses, noise)
    return float(np.maximum(p - math.exp(epsilon) * q, 0).sum() * (points[1] - points[0]))


@pytest.mark.parametrize(
    ("hit", "rate", "noise"),
    [(7, RATE, 30.0), (7, RATE, 1.0), (1, 0.01, 0.7), (55, 0.1, 9.0), (3, 1.0, 5.0)],
)
def test_one_step_is_the_integral_over_its_dominating_pair(
    hit: int, rate: float, noise: float
) -> None:
    counts = np.arange(hit + 1.0)
    masses = binom.pmf(counts, hit, rate)
    for epsilon in (0.0, 0.05, 0.5, 2.0):
        wanted = integrated(counts, -counts, masses, noise, epsilon)
        found = float(step_delta(hit, rate, noise, np.array([epsilon]))[0])
        assert found == pytest.approx(wanted, rel=1e-5, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    moved=st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=4),
    rate=st.floats(0.02, 1.0),
    noise=st.floats(0.3, 5.0),
    epsilon=st.floats(0.0, 3.0),
)
def test_no_data_does_worse_than_the_dominating_pair(
    moved: list[tuple[float, float]], rate: float, noise: float, epsilon: float
) -> None:
    """Whatever the changed windows' gradients were and become, within the clip."""
    chosen = np.array([[i >> j & 1 for j in range(len(moved))] for i in range(2 ** len(moved))])
    masses = (rate**chosen * (1 - rate) ** (1 - chosen)).prod(axis=1)
    before, after = np.array(moved).T
    found = integrated(chosen @ before, chosen @ after, masses, noise, epsilon)
    bound = float(step_delta(len(moved), rate, noise, np.array([epsilon]))[0])
    assert found <= bound + 1e-6


def test_check_values() -> None:
    from dp_accounting.pld.privacy_loss_distribution import from_mixture_gaussian_mechanism

    assert epsilon_of(7, RATE, 30.0, 300, DELTA) == pytest.approx(7.383, abs=0.002)
    masses = binom.pmf(np.arange(8), 7, RATE)
    other = from_mixture_gaussian_mechanism(30.0, list(range(0, 15, 2)), list(masses)).self_compose(
        300
    )
    assert other.get_epsilon_for_delta(DELTA) == pytest.approx(7.46, abs=0.005)


def test_the_one_sided_pair_is_not_safe() -> None:
    """Σ p_i N(2i) against N(0) hides less than the pair that a unit can attain."""
    counts = np.arange(8.0)
    masses = binom.pmf(counts, 7, RATE)
    attained = integrated(counts, -counts, masses, 3.0, 0.0)
    one_sided = integrated(2 * counts, 0 * counts, masses, 3.0, 0.0)
    assert one_sided < attained * 0.98


def test_without_sampling_it_is_the_exact_gaussian() -> None:
    for hit, noise, steps in ((7, 200.0, 300), (1, 10.0, 1), (3, 4.0, 5)):
        mu = 2 * hit / noise * math.sqrt(steps)
        assert epsilon_of(hit, 1.0, noise, steps, DELTA) == pytest.approx(
            gaussian_epsilon(mu, DELTA), rel=2e-4
        )
        assert step_delta(hit, 1.0, noise, np.array([0.3]))[0] == pytest.approx(
            gaussian_delta(2 * hit / noise, 0.3), rel=1e-9
        )


def test_counts_beside_the_training_are_composed() -> None:
    side_release = CellNoise(sigma=16.0, cells=24)
    mu = math.sqrt((14 / 200) ** 2 * 300 + 24 / 16.0**2)
    assert epsilon_of(7, 1.0, 200.0, 300, DELTA, side_release=side_release) == pytest.approx(
        gaussian_epsilon(mu, DELTA), rel=1e-3
    )
    with pytest.raises(ValueError, match=r"sigma=1\.0"):
        CellNoise(1.0, 24)


@pytest.mark.filterwarnings("ignore:Optimal order is the largest alpha")  # Opacus brackets by RDP
def test_the_naive_figure_is_what_opacus_says() -> None:
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    for noise, rate, steps in ((1.2, 0.02, 500), (30.0, RATE, 300)):
        accountant.history = [(noise, rate, steps)]
        theirs = accountant.get_epsilon(1e-6, eps_error=0.005)
        assert naive_epsilon(rate, noise, steps, 1e-6) == pytest.approx(theirs, abs=0.006)


def test_the_naive_figure_understates_many_times_over() -> None:
    true = epsilon_of(7, RATE, 30.0, 300, DELTA)
    assert 17 <= true / naive_epsilon(RATE, 30.0, 300, DELTA) <= 30


@settings(max_examples=15, deadline=None)
@given(
    hit=st.integers(1, 60),
    rate=st.floats(0.01, 1.0),
    noise=st.floats(2.0, 100.0),
    steps=st.integers(1, 400),
)
def test_more_noise_costs_less_and_everything_else_more(
    hit: int, rate: float, noise: float, steps: int
) -> None:
    base = epsilon_of(hit, rate, noise, steps, 1e-6)
    assume(base < 500)  # past that exp(epsilon) overflows, and what is reported may be infinite
    slack = 1 + 2e-3
    assert epsilon_of(hit, rate, noise * 1.1, steps, 1e-6) <= base * slack
    assert epsilon_of(hit + 1, rate, noise, steps, 1e-6) * slack >= base
    assert epsilon_of(hit, min(1.0, rate * 1.2), noise, steps, 1e-6) * slack >= base
    assert epsilon_of(hit, rate, noise, steps + 1, 1e-6) * slack >= base


@pytest.mark.parametrize(
    ("epsilon", "hit", "rate", "steps"),
    [(7.5, 5, 0.19, 252), (0.5, 60, 0.1, 100), (8.0, 1, 0.01, 1000)],
)
def test_calibration_gives_the_least_noise(
    epsilon: float, hit: int, rate: float, steps: int
) -> None:
    budget = Budget(epsilon, DELTA)
    noise = noise_for(budget, hit=hit, rate=rate, steps=steps)
    assert epsilon_of(hit, rate, noise, steps, DELTA) <= epsilon
    assert epsilon_of(hit, rate, noise * 0.998, steps, DELTA) > epsilon


def test_an_epsilon_out_of_reach_is_refused_with_the_least_there_is() -> None:
    with pytest.raises(ValueError, match=r"epsilon=1 cannot be reached at delta=1e-30.* is inf"):
        noise_for(Budget(1.0, 1e-30), hit=5, rate=0.1, steps=10)


def test_the_path_ends_where_the_whole_does() -> None:
    path = epsilon_path(5, 0.19, 23.0, (6, 12, 252), DELTA)
    assert path == sorted(path)
    assert path[-1] == pytest.approx(epsilon_of(5, 0.19, 23.0, 252, DELTA), rel=1e-3)
    assert path[-1] >= epsilon_of(5, 0.19, 23.0, 252, DELTA)


def test_no_noise_is_no_privacy() -> None:
    assert epsilon_of(5, 0.1, 0.0, 10, DELTA) == math.inf
    assert epsilon_path(5, 0.1, 0.0, (1, 2), DELTA) == [math.inf] * 2
    assert naive_epsilon(0.1, 0.0, 10, DELTA) == math.inf


def test_a_whole_series_of_changed_windows_is_accounted() -> None:
    """Unit `user`: every window changes, and what the sampling hides is next to nothing."""
    mean = 3114 * RATE
    noise = 2 * mean * math.sqrt(300) / 1.2
    found = epsilon_of(3114, RATE, noise, 300, DELTA, grid=500)
    assert found == pytest.approx(gaussian_epsilon(1.2, DELTA), rel=0.01)
