"""Noise with shared offsets: its covariance, its permit, its refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dp.audit.counts import permit_for
from dp.budget import Budget
from dp.mechanisms.design import least_noise
from dp.mechanisms.offset_noise import NAME, OffsetNoise, cost_of
from dp.unit.contribution import ContributionBound
from dp.unit.contribution_set import ContributionSet
from dp.unit.privacy_unit import PrivacyUnit

UNIT = ContributionSet(ContributionBound(48, 1), regions=2, ever=1)


def design(per: PrivacyUnit = PrivacyUnit.USER_DAY) -> OffsetNoise:
    noise = least_noise(Budget(1.0, 1e-7), UNIT, per=per, cells=48)
    assert isinstance(noise, OffsetNoise)
    return noise


def test_counts_of_a_group_share_an_offset_and_others_do_not() -> None:
    noise = design()
    days = 1500
    counts = np.full((48 * days, 2), 1000.0)
    noised = noise.draw(counts, permit_for(noise), np.repeat(np.arange(days), 48)) - counts
    daily = noised.reshape(days, 48, 2)
    single, level = daily.var(), daily.mean(axis=1).var()
    assert single == pytest.approx(noise.deviation**2, rel=0.03)
    assert level == pytest.approx(noise.offset**2 + noise.sigma**2 / 48, rel=0.15)
    assert noise.deviation_of_mean(1) == pytest.approx(noise.deviation)
    assert np.sqrt(level) == pytest.approx(noise.deviation_of_mean(48), rel=0.08)
    means = daily.mean(axis=1)
    assert abs(np.corrcoef(means[:, 0], means[:, 1])[0, 1]) < 0.12, "regions share no offset"
    assert abs(np.corrcoef(means[1:, 0], means[:-1, 0])[0, 1]) < 0.12, "days share no offset"
    assert np.array_equal(noised * noise.grid, np.rint(noised * noise.grid))


def test_without_groups_the_whole_panel_shares_one() -> None:
    noise = design(PrivacyUnit.USER)
    noised = noise.draw(np.zeros((48, 2)), permit_for(noise))
    again = noise.draw(np.zeros((48, 2)), permit_for(noise))
    assert not np.array_equal(noised, again)


def test_missing_intervals_stay_missing() -> None:
    noise = design()
    counts = np.full((48, 2), 5.0)
    counts[7] = np.nan
    noised = noise.draw(counts, permit_for(noise))
    assert np.isnan(noised[7]).all()
    assert np.isfinite(np.delete(noised, 7, axis=0)).all()


def test_a_permit_is_for_one_draw_of_this_noise() -> None:
    noise = design()
    permit = permit_for(noise)
    noise.draw(np.zeros((48, 2)), permit)
    with pytest.raises(RuntimeError, match="has paid for one"):
        noise.draw(np.zeros((48, 2)), permit)
    weaker = replace(noise, sigma=noise.sigma * 1.5)
    with pytest.raises(RuntimeError, match=r"another mechanism \(sigma differ\)"):
        noise.draw(np.zeros((48, 2)), permit_for(weaker))


@pytest.mark.parametrize(
    ("shape", "message"), [((49, 2), "at most 48 counts in 2"), ((48, 3), "at most 48 counts in 2")]
)
def test_counts_that_were_not_accounted_for_are_not_noised(
    shape: tuple[int, int], message: str
) -> None:
    noise = design()
    permit = permit_for(noise)
    with pytest.raises(ValueError, match=message):
        noise.draw(np.zeros(shape), permit)
    noise.draw(np.zeros((48, 2)), permit)  # nothing was drawn


def test_a_part_of_a_person_is_refused() -> None:
    noise = design()
    with pytest.raises(ValueError, match="whole counts"):
        noise.draw(np.full((48, 2), 0.5), permit_for(noise))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma": 10.0}, "sigma=10 with offset=.* is too small"),
        ({"grid": 3}, "power of two"),
        ({"offset": 0.01}, "two steps"),
        ({"per": PrivacyUnit.USER_INTERVAL}, "several counts"),
    ],
)
def test_refusals(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(design(), **change)  # type: ignore[arg-type]


def test_an_event_says_all_that_its_cost_follows_from() -> None:
    noise = design()
    event = noise.event()
    assert event["mechanism"] == NAME
    mu2, draws = cost_of(event)
    assert cost_of({**event, "parents": []}) == (mu2, draws)
    assert cost_of({**event, "groups": 7}) == (7 * mu2, 7 * draws)
    apart = cost_of({**event, "apart": True})[0]
    assert apart == pytest.approx(48 / (noise.sigma**2 - 2 / noise.grid**2))
    assert apart > mu2


def test_counts_too_large_for_the_grid_do_not_turn_around() -> None:
    noise = design()
    assert noise.grid > 1
    counts = np.full((48, 2), 2.0**62)
    counts[:, 1] *= -1
    noised = noise.draw(counts, permit_for(noise))
    assert (noised[:, 0] > 2.0**52).all()
    assert (noised[:, 1] < -(2.0**52)).all()
