import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from dp.budget import Budget
from dp.mechanisms.count_noise import CountNoise, calibrate, measurement
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
def test_noise_has_the_law_that_is_accounted(sigma: float, permit: Permits) -> None:
    """χ² against the probability mass of the discrete Gaussian; a false alarm once in 10⁶ runs."""
    noise = CountNoise(ContributionBound(1, 1), Budget(50.0, 0.1), sigma)
    count, center = 20_000, 1_000
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


def test_noise_that_opendp_would_not_sign_is_not_drawn(
    monkeypatch: pytest.MonkeyPatch, permit: Permits
) -> None:
    noise = calibrate(BUDGET, BOUND)
    paid = permit(noise.event())
    monkeypatch.setattr(CountNoise, "rho", property(lambda self: 1e-3))
    with pytest.raises(RuntimeError, match="nothing was drawn"):
        noise.draw(np.zeros((3, 2)), paid)
