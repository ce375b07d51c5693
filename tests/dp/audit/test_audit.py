"""Audits measure less than an honest mechanism claims, and more than a broken one does."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binom

from dp.accounting.gaussian import gaussian_mu
from dp.audit import clopper_pearson, counts, gradients, measure, plan, rate_bound, two_sided_bound
from dp.audit.bounds import rate_p_value, refutes_gaussian, tradeoff_bound
from dp.audit.guesses import Measured
from dp.budget import Budget
from dp.clipping import gradients as clipped
from dp.mechanisms import count_noise
from dp.mechanisms.randomness import Generator
from dp.mechanisms.window_sampling import WindowSampling
from dp.mechanisms.window_sampling import calibrate_sampling as calibrate_training
from dp.unit.contribution import ContributionBound

RATE, TRADEOFF = "one run (epsilon, delta)", "one run f-DP (Gaussian)"
BOUND = ContributionBound(intervals=8, regions=2)


def by_name(found: tuple[Measured, ...]) -> dict[str, float]:
    return {one.bound: one.epsilon for one in found}


# The bounds


@pytest.mark.parametrize(
    ("epsilon", "expected"), [(1.0, 0.18), (2.0, 0.64), (4.0, 1.4), (8.0, 3.0)]
)
def test_ideal_canaries_find_what_theory_expects(epsilon: float, expected: float) -> None:
    """Scores of the Gaussian mechanism itself; the figures are those of Steinke et al.'s bound."""
    budget, rng = Budget(epsilon, 1e-5), np.random.default_rng(0)
    guesses, mu = plan(1000, budget), gaussian_mu(budget)
    found: dict[str, list[float]] = {RATE: [], TRADEOFF: []}
    for _ in range(40):
        coins = rng.random(1000) < 0.5
        for name, value in by_name(
            measure(guesses, mu * coins + rng.normal(size=1000), coins)
        ).items():
            found[name].append(value)
    assert np.mean(found[RATE]) == pytest.approx(expected, rel=0.1, abs=0.12)
    assert np.mean(found[RATE]) < np.mean(found[TRADEOFF]) < epsilon
    assert np.quantile(found[TRADEOFF], 0.95) <= epsilon


def test_the_rate_is_that_of_randomised_response() -> None:
    """The mechanism that attains the bound: each coin told truly with probability e^ε/(1 + e^ε)."""
    for right in (60, 75, 90):
        exact = binom(100, 1 / (1 + math.exp(-1.0))).sf(right - 1)
        assert rate_p_value(100, 100, right, 1.0, 0.0) == pytest.approx(exact)
    assert rate_bound(100, 100, 50, 0.0) == 0.0
    rng, covered = np.random.default_rng(1), 0
    for _ in range(150):
        right = int((rng.random(200) < 1 / (1 + math.exp(-1.0))).sum())
        covered += rate_bound(200, 200, right, 0.0) <= 1.0
    assert covered >= 0.95 * 150 - 3 * math.sqrt(150 * 0.05 * 0.95)


def test_a_failure_of_probability_delta_is_allowed_for() -> None:
    """With probability δ the mechanism tells all coins; m of them may then be guessed right."""
    assert rate_p_value(1000, 10, 10, 0.0, 0.0) == pytest.approx(2.0**-10)
    assert rate_p_value(1000, 10, 10, 0.0, 1e-4) > 1e-2


def test_the_tradeoff_bound_never_refutes_what_is_true() -> None:
    """Oracle: every mechanism on two coins with a binary answer each, and Gaussian scores."""
    rng = np.random.default_rng(2)
    for mu in (0.3, 1.0, 2.5):
        refuted = 0
        for _ in range(200):
            coins = rng.random(100) < 0.5
            scores = mu * coins + rng.normal(size=100)
            right = int(((scores > mu / 2) == coins).sum())
            refuted += refutes_gaussian(100, 100, right, mu, 0.05)
        assert refuted <= 200 * 0.05 + 3 * math.sqrt(200 * 0.05 * 0.95)


@pytest.mark.parametrize("bound", [rate_bound, tradeoff_bound])
def test_bounds_grow_with_right_guesses_and_confidence_costs(bound: Any) -> None:
    found = [bound(500, 100, right, 1e-5) for right in range(50, 101, 5)]
    assert found == sorted(found)
    assert found[0] == 0.0
    assert bound(500, 100, 90, 1e-5, 0.99) < bound(500, 100, 90, 1e-5, 0.9)


def test_clopper_pearson_covers_and_has_no_empty_ends() -> None:
    assert clopper_pearson(0, 10)[0] == 0.0
    assert clopper_pearson(10, 10)[1] == 1.0
    for rate, trials in itertools.product((0.02, 0.4), (20, 60)):
        held = sum(
            binom(trials, rate).pmf(right)
            for right in range(trials + 1)
            if clopper_pearson(right, trials)[0] <= rate <= clopper_pearson(right, trials)[1]
        )
        assert held >= 0.95


def test_independent_trials_bound_epsilon_from_below() -> None:
    assert two_sided_bound(1000, 1000, 0, 1000, 1e-5) > 5
    assert two_sided_bound(50, 100, 50, 100, 1e-5) == 0.0
    rng, epsilon = np.random.default_rng(3), 1.0
    rate = 1 / (1 + math.exp(-epsilon))
    held = 0
    for _ in range(200):
        right, wrong = rng.binomial(400, rate), rng.binomial(400, 1 - rate)
        held += two_sided_bound(int(right), 400, int(wrong), 400, 0.0) <= epsilon
    assert held >= 190


def test_guesses_are_fixed_before_anything_is_seen() -> None:
    guesses = plan(1000, Budget(2.0, 1e-5))
    assert plan(1000, Budget(2.0, 1e-5)) == guesses
    assert set(guesses.numbers) == {RATE, TRADEOFF}
    for numbers in guesses.numbers.values():
        assert all(number % 2 == 0 and 2 <= number <= 1000 for number in numbers)
    with pytest.raises(ValueError, match="expected 1000 finite scores, got 3"):
        measure(guesses, np.zeros(3), np.zeros(3, dtype=bool))


# Noise on counts


@pytest.mark.parametrize("epsilon", [1.0, 8.0])
def test_released_counts_keep_their_claim(epsilon: float) -> None:
    noise = count_noise.calibrate(Budget(epsilon, 1e-5), BOUND)
    planted = counts.plant(noise, 1000, seed=4)
    assert np.array_equal(planted.released, np.round(planted.released))
    assert 400 < planted.included.sum() < 600
    moved = (planted.raw - 100).reshape(1000, -1)[planted.included]
    assert np.linalg.norm(moved, axis=1) == pytest.approx(BOUND.sensitivity)
    found = by_name(measure(plan(1000, noise.budget), planted.scores(noise, 100), planted.included))
    assert found[RATE] <= noise.epsilon
    assert found[TRADEOFF] <= noise.epsilon
    assert epsilon < 2 or found[TRADEOFF] > epsilon / 4  # it sees something, where there is much


@pytest.mark.parametrize(("share", "epsilon", "canaries"), [(0.0, 8.0, 1_000), (0.5, 4.0, 10_000)])
def test_counts_with_too_little_noise_are_found_out(
    monkeypatch: pytest.MonkeyPatch, share: float, epsilon: float, canaries: int
) -> None:
    honest = count_noise.measurement

    class Weak:
        """OpenDP's account of the noise that is claimed, and less of it."""

        def __init__(self, sigma: float) -> None:
            self.map, self._draw = honest(sigma).map, honest(max(sigma * share, 1e-9))

        def __call__(self, values: list[int]) -> list[int]:
            return list(self._draw(values))

    noise = count_noise.calibrate(Budget(epsilon, 1e-5), ContributionBound(2, 1))
    monkeypatch.setattr(count_noise, "measurement", Weak)
    monkeypatch.setattr(count_noise, "MANY", 10**9)
    planted = counts.plant(noise, canaries, seed=5)
    guesses = plan(canaries, noise.budget)
    found = by_name(measure(guesses, planted.scores(noise, 100), planted.included))
    assert found[TRADEOFF] > noise.epsilon


# Private training


def sampling(epsilon: float) -> WindowSampling:
    return calibrate_training(Budget(epsilon, 1e-5), windows=600, batch=120, steps=100, hit=3)


def gradient_audit(used: WindowSampling, epsilon: float) -> dict[str, float]:
    seen = gradients.plant(used, 0.7, 1000, seed=6)
    return by_name(measure(plan(1000, Budget(epsilon, 1e-5)), seen.scores, seen.included))


@pytest.mark.parametrize("epsilon", [1.0, 8.0])
def test_a_private_training_keeps_its_claim(epsilon: float) -> None:
    found = gradient_audit(sampling(epsilon), epsilon)
    assert found[RATE] <= epsilon
    assert found[TRADEOFF] <= epsilon
    assert epsilon < 2 or found[TRADEOFF] > epsilon / 4


def test_canaries_move_the_sum_as_far_as_the_accountant_allows() -> None:
    """Without noise a canary's score is the number of its windows drawn, up or down."""
    quiet = WindowSampling(windows=30, batch=30, steps=4, hit=3, noise_multiplier=0.0)
    seen = gradients.plant(quiet, 0.7, 10, seed=1)
    assert np.abs(seen.scores).tolist() == pytest.approx([12.0] * 10, rel=1e-4)
    assert ((seen.scores > 0) == seen.included).all()


@pytest.mark.parametrize(("share", "epsilon", "canaries"), [(0.0, 8.0, 1_000), (0.5, 4.0, 10_000)])
def test_a_training_with_too_little_noise_is_found_out(
    monkeypatch: pytest.MonkeyPatch, share: float, epsilon: float, canaries: int
) -> None:
    claimed = Budget(epsilon, 1e-5)
    used = calibrate_training(claimed, windows=1_000, batch=100, steps=100, hit=1)
    honest = Generator.normal
    monkeypatch.setattr(
        Generator, "normal", lambda self, like, std: share * honest(self, like, std)
    )
    seen = gradients.plant(used, 0.7, canaries, seed=6)
    found = by_name(measure(plan(canaries, claimed), seen.scores, seen.included))
    assert found[TRADEOFF] > epsilon


def test_a_training_without_clipping_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    used = sampling(2.0)
    monkeypatch.setattr(clipped, "_factors", lambda norms, clips: torch.ones_like(norms))
    assert gradient_audit(used, 2.0)[TRADEOFF] > 2.0
