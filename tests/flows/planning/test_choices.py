"""K and G together: the noise that each pair needs, and which pair leaves forecasts the most."""

from __future__ import annotations

from typing import Any

import pytest

from dp.mechanisms.count_noise import calibrate
from dp.unit.contribution import ContributionBound
from flows.planning.choices import choices
from flows.recipe.recipe import Recipe, from_dict

ROWS: list[dict[str, Any]] = [
    {"intervals_per_unit": 48, "left_out": 0.0},
    {"intervals_per_unit": 24, "left_out": 0.5},
]
REGIONS: list[dict[str, Any]] = [
    {"regions_ever": 6, "left_out": 0.0},
    {"regions_ever": 1, "left_out": 0.1},
    {"regions_ever": 2, "left_out": None},
]


def recipe(**privacy: Any) -> Recipe:
    return from_dict(
        {
            "source": {"events": True},
            "privacy": {"unit": "user-day", "epsilon": 1.0, "delta": 1e-7, **privacy},
        }
    )


def test_every_pair_of_which_the_loss_is_known() -> None:
    found = choices(ROWS, REGIONS, recipe(), slots=48, every=6)
    pairs = {(one["intervals_per_unit"], one["regions_ever"]): one for one in found}
    assert set(pairs) == {(48, None), (48, 1), (24, None), (24, 1)}
    assert pairs[48, None]["noise_to_count"] == pytest.approx(1.0)
    assert pairs[48, 1]["sigma"] < 0.6 * pairs[48, None]["sigma"]
    assert pairs[24, 1]["left_out"] == pytest.approx(1 - 0.5 * 0.9)
    assert [one["noise_to_count"] for one in found] == sorted(
        one["noise_to_count"] for one in found
    )
    best = found[0]
    assert (best["intervals_per_unit"], best["regions_ever"]) == (48, 1)


@pytest.mark.parametrize(("privacy", "every"), [({"noise": "independent"}, 6), ({}, 0)])
def test_without_offsets_or_regions_noise_is_independent(
    privacy: dict[str, Any], every: int
) -> None:
    found = choices(ROWS, None, recipe(**privacy), slots=48, every=every)
    sigma = {one["intervals_per_unit"]: one["sigma"] for one in found}
    for intervals in (48, 24):
        bound = ContributionBound(intervals, 1)
        assert sigma[intervals] == calibrate(recipe().privacy.budget, bound).sigma
