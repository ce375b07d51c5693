from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from dp.accounting.gaussian import gaussian_mu
from dp.accounting.sliding_window import CellNoise
from dp.budget import Budget
from dp.mechanisms.count_noise import discrete_gaussian
from dp.mechanisms.scale import SHARE, Scale, declared, estimate, scale_noise
from dp.mechanisms.window_sampling import WindowSampling
from dp.permit import _LEDGER, Permit

BUDGET = Budget(7.5, 1e-7)


def estimated(values: np.ndarray, noise: CellNoise, *, width: int) -> Scale:
    """An estimate under a permit of its own; the counts of these tests are made up."""
    paid = Permit(1, "key", {"aside": asdict(noise)}, by=_LEDGER)
    return estimate(values, noise, paid, width=width)


def counts(intervals: int = 3000) -> np.ndarray:
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(intervals, 2)) * [100.0, 1000.0]
    drift = np.abs(np.cumsum(steps, axis=0) * 0.05)
    return np.round(np.array([2_000, 40_000]) + drift + steps)


def test_the_estimate_is_near_the_truth() -> None:
    noise = scale_noise(BUDGET, width=1, intervals=3000, regions=2)
    found = estimated(counts(), noise, width=1)
    true = np.diff(counts(), axis=0)[::2]
    assert found.step == pytest.approx(np.sqrt((true**2).mean(axis=0)), rel=0.35)
    assert found.mean == pytest.approx(np.median(counts(), axis=0), rel=0.3)
    assert all(spread > 0 for spread in found.spread)


def test_the_noise_takes_its_share_of_the_budget() -> None:
    noise = scale_noise(BUDGET, width=1, intervals=3000, regions=6)
    mu = np.sqrt(noise.cells) / noise.sigma
    assert mu**2 == pytest.approx(SHARE * gaussian_mu(BUDGET) ** 2, rel=1e-9)
    assert noise.cells == 24


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [1e6, 0.0, 1e25, 1e308, np.inf], ids=str)
@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_unit_moves_as_many_cells_as_are_accounted_for(
    width: int, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One level and one step in each region: two cells each, by one, whatever the counts become."""
    histograms: list[np.ndarray] = []

    def seen(cells: np.ndarray, sigma: float) -> np.ndarray:
        histograms.append(cells)
        return cells

    monkeypatch.setattr("dp.mechanisms.scale.discrete_gaussian", seen)
    values, noise = counts(200), CellNoise(5.0, 8)
    estimated(values, noise, width=width)
    before = np.array(histograms)
    for at in range(40):
        changed = values.copy()
        changed[at : at + width] = value + at
        histograms.clear()
        estimated(changed, noise, width=width)
        moved = np.abs(np.array(histograms) - before)
        assert moved.max() <= 1
        assert moved.sum() <= noise.cells


def test_gaps_are_left_out() -> None:
    values = counts(400)
    values[50:90] = np.nan
    found = estimated(values, CellNoise(2.0, 8), width=1)
    assert np.isfinite([*found.mean, *found.spread, *found.step]).all()


def test_counts_of_nothing_still_give_a_scale() -> None:
    found = estimated(np.zeros((400, 1)), CellNoise(5.0, 4), width=1)
    assert found.spread[0] >= 1
    assert found.step[0] >= 1


def test_a_unit_too_long_to_estimate_for_is_told_what_to_declare() -> None:
    with pytest.raises(ValueError, match=r"48 intervals.*source\.max_count"):
        scale_noise(Budget(1.0, 1e-7), width=48, intervals=3000, regions=6)


def test_declared_bounds_look_at_no_count() -> None:
    found = declared(1600, regions=3)
    assert found.mean == (800.0,) * 3
    assert found.step == (100.0,) * 3


def test_every_histogram_gets_the_noise_accounted_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from dp.mechanisms import scale

    honest, drawn = discrete_gaussian, []

    def watched(cells: np.ndarray, sigma: float) -> np.ndarray:
        noised = honest(cells, sigma)
        drawn.append((sigma, noised - cells))
        return noised

    monkeypatch.setattr(scale, "discrete_gaussian", watched)
    for _ in range(10):
        estimated(counts(), CellNoise(16.0, 8), width=1)
    assert len(drawn) == 10 * 4  # levels and steps of two regions
    assert {sigma for sigma, _ in drawn} == {16.0}
    noise = np.concatenate([added for _, added in drawn])
    assert noise.std() == pytest.approx(16.0, rel=0.1)


def test_two_estimates_of_the_same_counts_differ() -> None:
    noise = CellNoise(16.0, 8)
    assert estimated(counts(), noise, width=1) != estimated(counts(), noise, width=1)


def test_each_charge_estimates_once_with_the_noise_it_paid_for(
    permit: Callable[[dict[str, Any]], Permit],
) -> None:
    noise = CellNoise(16.0, 8)
    paid = permit(WindowSampling(60, 20, 3, 3, 5.0, side_release=noise).event())
    with pytest.raises(RuntimeError, match="aside differ"):
        estimate(counts(), CellNoise(8.0, 8), paid, width=1)
    estimate(counts(), noise, paid, width=1)
    with pytest.raises(RuntimeError, match="one scale of the counts, which was drawn"):
        estimate(counts(), noise, paid, width=1)
