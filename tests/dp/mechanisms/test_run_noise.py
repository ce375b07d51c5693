"""Noise on runs: its covariance, its law, its permit, its refusals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from dp.accounting.rounding import rounded_delta
from dp.audit.counts import permit_for
from dp.budget import Budget
from dp.mechanisms.run_design import least_run_noise
from dp.mechanisms.run_noise import (
    RunNoise,
    cost_of,
    filtered,
    noise_of,
    response,
    unfiltered,
)
from dp.unit.contribution import ContributionBound
from dp.unit.run_set import RunSet

UNIT = RunSet(ContributionBound(48, 1), regions=3, runs=2)
NOISE = least_run_noise(Budget(1.0, 1e-7), UNIT, 300)


def test_the_noise_is_white_once_filtered_and_has_the_stated_deviations() -> None:
    unit = RunSet(UNIT.bound, regions=6000, runs=2)
    noise = least_run_noise(Budget(1.0, 1e-7), unit, 60)
    noised = noise.draw(np.full((60, 6000), 1000.0), permit_for(noise)) - 1000
    first, last = noise.deviations
    assert noised[0].std() == pytest.approx(first, rel=0.04)
    assert noised[-1].std() == pytest.approx(last, rel=0.04)
    assert math.sqrt(np.mean(noised**2)) == pytest.approx(noise.deviation, rel=0.01)
    mean = noised[-48:].mean(axis=0)
    assert mean.std() == pytest.approx(noise.deviation_of_mean(48), rel=0.04)
    white = np.apply_along_axis(np.convolve, 0, noised, noise.taps)[:60] / noise.grid
    assert white.std() == pytest.approx(noise.sigma, rel=0.01)
    assert abs(np.mean(white[1:] * white[:-1])) < 0.01 * noise.sigma**2
    assert np.mean(noised[1:] * noised[:-1]) > 0.3 * noise.deviation**2


def test_filtering_back_inverts_the_filter() -> None:
    counts = np.arange(900, dtype=np.int64).reshape(300, 3) ** 2 % 1009
    assert unfiltered(filtered(counts, NOISE.taps), NOISE.taps) == pytest.approx(counts)
    one = np.zeros((300, 1), dtype=np.int64)
    one[0] = 1
    back = unfiltered(one * NOISE.grid, NOISE.taps)[:, 0]
    assert back == pytest.approx(response(NOISE.taps, 300))


def test_what_is_noised_are_filtered_counts_on_the_grid() -> None:
    noised = NOISE.draw(np.full((300, 3), 7.0), permit_for(NOISE))
    steps = np.apply_along_axis(np.convolve, 0, noised, NOISE.taps)[:300]
    assert steps == pytest.approx(np.rint(steps), abs=1e-6)


def test_the_exact_law_of_a_tiny_panel_is_within_the_account() -> None:
    """Two counts, one of them filtered: all outcomes of both neighbours, added up."""
    taps, sigma = (4, -2), 1.0
    unit = RunSet(ContributionBound(2, 1), regions=1, runs=1)
    mu = math.sqrt(cost_of(RunNoise(unit, Budget(9.0, 0.5), sigma, taps, 2).event())[0])
    steps = np.arange(-80, 81)
    for change in ((1, 0), (0, 1), (1, 1)):
        moved = filtered(np.array(change, dtype=np.int64)[:, None], taps)[:, 0]
        laws = [
            [np.exp(-((steps - by * sign) ** 2) / (2 * (sigma * taps[0]) ** 2)) for by in moved]
            for sign in (0, 1)
        ]
        here, there = (np.outer(*(part / part.sum() for part in law)) for law in laws)
        for epsilon in (0.0, 0.5, 1.0, 2.0):
            exact = np.clip(here - math.exp(epsilon) * there, 0, None).sum()
            back = np.clip(there - math.exp(epsilon) * here, 0, None).sum()
            assert max(exact, back) <= rounded_delta(mu, 2, epsilon)


def test_gaps_are_closed_up() -> None:
    counts = np.full((300, 3), 5.0)
    counts[7:9] = np.nan
    noised = NOISE.draw(counts, permit_for(NOISE))
    assert np.isnan(noised[7:9]).all()
    rest = np.delete(noised, [7, 8], axis=0)
    steps = np.apply_along_axis(np.convolve, 0, rest, NOISE.taps)[:298]
    assert steps == pytest.approx(np.rint(steps), abs=1e-6)


def test_a_permit_is_for_one_draw_of_this_noise() -> None:
    permit = permit_for(NOISE)
    NOISE.draw(np.zeros((300, 3)), permit)
    with pytest.raises(RuntimeError, match="has paid for one"):
        NOISE.draw(np.zeros((300, 3)), permit)
    weaker = replace(NOISE, sigma=NOISE.sigma * 1.5)
    with pytest.raises(RuntimeError, match=r"another mechanism \(sigma differ\)"):
        NOISE.draw(np.zeros((300, 3)), permit_for(weaker))


@pytest.mark.parametrize("shape", [(301, 3), (300, 4)])
def test_counts_that_were_not_accounted_for_are_not_noised(shape: tuple[int, int]) -> None:
    permit = permit_for(NOISE)
    with pytest.raises(ValueError, match="at most 300 counts in each of 3"):
        NOISE.draw(np.zeros(shape), permit)
    with pytest.raises(ValueError, match="whole counts"):
        NOISE.draw(np.full((300, 3), 0.5), permit)
    NOISE.draw(np.zeros((300, 3)), permit)  # nothing was drawn


def test_noise_too_small_for_the_budget_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="too small for this filter"):
        replace(NOISE, sigma=NOISE.sigma * 0.99)
    with pytest.raises(ValueError, match="add to each other's"):
        replace(NOISE, taps=(256, 10))


def test_an_event_makes_the_noise_again() -> None:
    assert noise_of(NOISE.event(), NOISE.budget) == NOISE
    cost, draws = cost_of(NOISE.event())
    assert draws == 900
    assert cost_of({**NOISE.event(), "units": 3})[0] == pytest.approx(3 * cost)
    assert cost_of({**NOISE.event(), "both": True})[0] == pytest.approx(4 * cost)
    assert cost_of({**NOISE.event(), "apart": 96})[0] > cost
