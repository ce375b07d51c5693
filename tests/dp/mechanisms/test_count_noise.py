import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from dp.budget import Budget
from dp.mechanisms import count_noise
from dp.mechanisms.count_noise import MANY, CountNoise, calibrate, discrete_gaussian, measurement
from dp.mechanisms.discrete import LARGEST, SMALLEST
from dp.permit import Permit
from dp.unit.contribution import ContributionBound

Permits = Callable[[dict[str, Any]], Permit]

BOUND = ContributionBound(intervals=4, regions=2)
BUDGET = Budget(1.0, 1e-5)


def test_less_noise_than_the_budget_needs_cannot_be_built() -> None:
    noise = calibrate(BUDGET, BOUND)
    with pytest.raises(ValueError, match="too small"):
        CountNoise(BOUND, BUDGET, noise.sigma * 0.99)
    with pytest.raises(ValueError, match="too small"):
        dataclasses.replace(noise, budget=Budget(0.5, 1e-5))
    assert noise.epsilon <= BUDGET.epsilon


def test_released_counts_are_whole_and_gaps_stay_gaps(permit: Permits) -> None:
    counts = np.arange(12.0).reshape(6, 2)
    counts[2] = np.nan
    noise = calibrate(BUDGET, BOUND)
    noised = noise.draw(counts, permit(noise.event()))
    assert np.isnan(noised[2]).all()
    seen = np.delete(noised, 2, axis=0)
    assert np.array_equal(seen, np.round(seen))


def test_two_draws_differ(permit: Permits) -> None:
    noise = calibrate(BUDGET, BOUND)
    counts = np.zeros((40, 2))
    one, other = (noise.draw(counts, permit(noise.event())) for _ in range(2))
    assert not np.array_equal(one, other)


def test_without_a_charge_nothing_is_drawn(permit: Permits) -> None:
    noise = calibrate(BUDGET, BOUND)
    with pytest.raises(TypeError, match=r"Ledger\.commit"):
        Permit(1, "key", noise.event(), by=None)
    paid = permit(noise.event())
    noise.draw(np.zeros((3, 2)), paid)
    with pytest.raises(RuntimeError, match="was drawn"):
        noise.draw(np.zeros((3, 2)), paid)
    with pytest.raises(RuntimeError, match=r"another mechanism \(sigma"):
        noise.draw(np.zeros((3, 2)), permit({**noise.event(), "sigma": noise.sigma * 2}))


@pytest.mark.parametrize("sigma", [0.8, 3.0, 40.0])
@pytest.mark.parametrize("count", [MANY - 1, 2 * MANY])
def test_noise_has_the_law_that_is_accounted(sigma: float, count: int, permit: Permits) -> None:
    """χ² against the probability mass of the discrete Gaussian; a false alarm once in 10⁶ runs."""
    noise = CountNoise(ContributionBound(1, 1), Budget(50.0, 0.1), sigma)
    center = 1_000
    drawn = noise.draw(np.full((count, 1), float(center)), permit(noise.event()))[:, 0] - center
    points = np.arange(-int(8 * sigma) - 8, int(8 * sigma) + 9)
    mass = np.exp(-(points**2) / (2 * sigma**2))
    mass /= mass.sum()
    # Bins of equal width, tails gathered so that each bin expects enough.
    edges = np.unique(np.round(np.linspace(-2.5 * sigma, 2.5 * sigma, 12)))
    expected = np.array([part.sum() for part in np.split(mass, np.searchsorted(points, edges))])
    seen = np.bincount(np.searchsorted(edges, drawn, side="right"), minlength=len(edges) + 1)
    keep = expected > 0
    test = stats.chisquare(seen[keep], expected[keep] * count)
    assert test.pvalue > 1e-6


def test_fractions_are_refused(permit: Permits) -> None:
    noise = calibrate(BUDGET, BOUND)
    paid = permit(noise.event())
    with pytest.raises(ValueError, match="whole counts"):
        noise.draw(np.array([[1.5, 2.0]]), paid)


def test_opendp_accounts_the_same() -> None:
    noise = calibrate(BUDGET, BOUND)
    assert measurement(noise.sigma).map(BOUND.sensitivity) == pytest.approx(noise.rho, rel=1e-9)


@pytest.mark.parametrize("intervals", [3, MANY])
def test_noise_that_opendp_would_not_sign_is_not_drawn(
    intervals: int, monkeypatch: pytest.MonkeyPatch, permit: Permits
) -> None:
    noise = calibrate(BUDGET, BOUND)
    paid = permit(noise.event())
    monkeypatch.setattr(CountNoise, "rho", property(lambda self: 1e-3))
    monkeypatch.setattr(count_noise, "sample", None)
    with pytest.raises(RuntimeError, match="nothing was drawn"):
        noise.draw(np.zeros((intervals, 2)), paid)


@pytest.mark.parametrize(
    ("size", "sigma", "own"),
    [
        (MANY - 1, 40.0, False),
        (MANY, 40.0, True),
        (MANY, SMALLEST, True),
        (MANY, 0.99 * SMALLEST, False),
        (MANY, LARGEST, True),
        (MANY, 1.01 * LARGEST, False),
    ],
)
def test_many_counts_are_for_the_own_sampler(
    size: int, sigma: float, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fixed(size: int, sigma: float) -> np.ndarray:
        return np.full(size, 10**9)

    monkeypatch.setattr(count_noise, "sample", fixed)
    counts = np.arange(size).reshape(1, size)
    drawn = discrete_gaussian(counts, sigma)
    assert drawn.shape == counts.shape
    assert drawn.dtype == np.int64
    assert np.array_equal(drawn, counts + 10**9) == own


@pytest.mark.parametrize("size", [100, MANY])
def test_sums_beyond_64_bits_stay_at_the_end(size: int) -> None:
    """Both samplers alike: what is returned depends on the sum alone."""
    limits = np.iinfo(np.int64)
    for end in (limits.max, limits.min):
        drawn = discrete_gaussian(np.full(size, end), 1000.0)
        at_the_end = drawn == end
        assert 0.2 < at_the_end.mean() < 0.8
        assert (np.abs(drawn[~at_the_end].astype(float) - float(end)) < 20_000).all()


def test_counts_are_not_changed_and_may_lie_anyhow() -> None:
    counts = np.arange(4 * MANY).reshape(2 * MANY, 2)[:, ::-1]
    before = counts.copy()
    drawn = discrete_gaussian(counts, 1.0)
    assert np.array_equal(counts, before)
    assert np.abs(drawn - counts).max() < 12
