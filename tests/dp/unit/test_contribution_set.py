"""Contribution sets: what is refused, and which region lies in which."""

from __future__ import annotations

import pytest

from dp.unit.contribution import ContributionBound
from dp.unit.contribution_set import ROOT, ContributionSet

BOUND = ContributionBound(intervals=10, regions=2)


def test_nothing_known_is_all_regions() -> None:
    assert ContributionSet(BOUND, 4).ever == 4
    assert ContributionSet(BOUND, 3, parents=(ROOT, ROOT, ROOT)).parents == ()


def test_regions_around_a_region() -> None:
    unit = ContributionSet(ContributionBound(10, 3), 4, parents=(ROOT, 0, 1, ROOT))
    assert unit.around(2) == (2, 1, 0)
    assert unit.around(3) == (3,)
    assert ContributionSet(BOUND, 4).around(2) == (2,)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"regions": 1}, "M=2 ≤ 1"),
        ({"regions": 3, "ever": 4}, "G=4, to be from M=2 to 3"),
        ({"regions": 3, "ever": 1}, "G=1, to be from M=2 to 3"),
        ({"regions": 3, "parents": (ROOT, 0)}, "expected 3 parents, got 2"),
        ({"regions": 3, "parents": (ROOT, 0, 1)}, "nested 3 deep.*M=2 is too small"),
        ({"regions": 2, "parents": (1, 0)}, "region 0 lies within itself"),
        (
            {"regions": 1000, "parents": tuple(range(-1, 999))},
            "nested 1000 deep; expected at most 50",
        ),
        ({"regions": 2, "parents": (ROOT, 5)}, "expected a region from 0 to 1, got 5"),
    ],
)
def test_refusals(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ContributionSet(BOUND, **values)  # type: ignore[arg-type]
