import itertools
import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dp.unit import ContributionBound, PrivacyUnit, derive_bound

HALF_HOUR = timedelta(minutes=30)


@pytest.mark.parametrize(
    ("unit", "intervals"),
    [("user", 3456), ("user-week", 336), ("user-day", 48), ("user-interval", 1)],
)
def test_intervals_of_each_unit(unit: str, intervals: int) -> None:
    bound, reasons = derive_bound(
        PrivacyUnit(unit), observed=3456, interval=HALF_HOUR, regions=6, regions_per_interval=2
    )
    assert bound == ContributionBound(intervals, 2)
    assert bound.sensitivity == pytest.approx(math.sqrt(2 * intervals))
    assert reasons[0].startswith(f"K = {intervals} ")


def test_undeclared_regions_mean_all_of_them() -> None:
    bound, reasons = derive_bound(PrivacyUnit.USER, observed=10, interval=HALF_HOUR, regions=6)
    assert bound.regions == 6
    assert "nobody declared" in reasons[1]


def test_declared_intervals_only_ever_tighten() -> None:
    def bound(declared: int) -> ContributionBound:
        return derive_bound(
            PrivacyUnit.USER_DAY,
            observed=3456,
            interval=HALF_HOUR,
            regions=6,
            intervals_per_unit=declared,
        )[0]

    assert bound(16).intervals == 16
    assert bound(500).intervals == 48


def test_a_day_of_odd_intervals_is_rounded_up() -> None:
    bound, _ = derive_bound(
        PrivacyUnit.USER_DAY, observed=100, interval=timedelta(hours=7), regions=2
    )
    assert bound.intervals == 4  # starts at 0, 7, 14 and 21 o'clock


@pytest.mark.parametrize(("name", "value"), [("intervals", 0), ("regions", -1), ("weight", 0)])
def test_bound_refuses_what_means_nothing(name: str, value: int) -> None:
    values = {"intervals": 1, "regions": 1, "weight": 1, name: value}
    with pytest.raises(ValueError, match=f"{name}={value}"):
        ContributionBound(**values)


def test_more_regions_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="regions_per_interval=7"):
        derive_bound(
            PrivacyUnit.USER, observed=5, interval=HALF_HOUR, regions=6, regions_per_interval=7
        )


@given(
    intervals=st.integers(1, 3),
    regions=st.integers(1, 2),
    weight=st.integers(1, 2),
    data=st.data(),
)
def test_no_person_moves_a_panel_further_than_the_bound(
    intervals: int, regions: int, weight: int, data: st.DataObject
) -> None:
    """Oracle: build a person's records within the bound and take them out of a real panel."""
    bound = ContributionBound(intervals, regions, weight)
    panel = np.zeros((5, 3))
    times = data.draw(st.lists(st.integers(0, 4), max_size=intervals, unique=True))
    for time in times:
        places = data.draw(st.lists(st.integers(0, 2), max_size=regions, unique=True))
        for place in places:
            panel[time, place] += data.draw(st.integers(0, weight))
    assert np.linalg.norm(panel) <= bound.sensitivity + 1e-12


def test_the_bound_is_reached() -> None:
    bound = ContributionBound(2, 2, 3)
    panel = np.zeros((5, 3))
    for time, place in itertools.product(range(2), range(2)):
        panel[time, place] = 3
    assert np.linalg.norm(panel) == pytest.approx(bound.sensitivity)
