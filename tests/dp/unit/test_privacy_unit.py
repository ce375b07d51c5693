import itertools
import math
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dp.unit.contribution import ContributionBound, derive_bound
from dp.unit.privacy_unit import PrivacyUnit, touched_intervals

HALF_HOUR = timedelta(minutes=30)
MIDNIGHT = datetime(2024, 1, 1)


@pytest.mark.parametrize(
    ("unit", "intervals"),
    [("user", 3456), ("user-week", 336), ("user-day", 48), ("user-interval", 1)],
)
def test_intervals_of_each_unit(unit: str, intervals: int) -> None:
    bound, reasons = derive_bound(
        PrivacyUnit(unit),
        observed=3456,
        interval=HALF_HOUR,
        regions=6,
        regions_per_interval=2,
        start=MIDNIGHT,
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
            start=MIDNIGHT,
        )[0]

    assert bound(16).intervals == 16
    assert bound(500).intervals == 48


@pytest.mark.parametrize(
    ("unit", "interval", "start", "intervals"),
    [
        ("user-day", timedelta(days=1), datetime(2024, 1, 1, 4), 2),
        ("user-day", timedelta(days=1), datetime(2024, 1, 1), 1),
        ("user-week", timedelta(weeks=1), datetime(2024, 1, 7), 2),  # a Sunday
        ("user-week", timedelta(weeks=1), datetime(2024, 1, 8), 1),
        ("user-day", timedelta(weeks=1), datetime(2024, 1, 7), 1),
        ("user-day", HALF_HOUR, datetime(2024, 1, 1, 0, 15), 49),
        ("user-day", HALF_HOUR, datetime(2024, 1, 1, 13, 30), 48),
        ("user-week", HALF_HOUR, datetime(2024, 1, 1, 0, 15), 337),
        ("user-day", timedelta(hours=7), datetime(2024, 1, 1), 5),
        ("user-interval", HALF_HOUR, datetime(2024, 1, 1, 0, 15), 1),
    ],
)
def test_intervals_across_a_border_belong_to_both_sides(
    unit: str, interval: timedelta, start: datetime, intervals: int
) -> None:
    bound, reasons = derive_bound(
        PrivacyUnit(unit), observed=5_000, interval=interval, regions=2, start=start
    )
    assert bound.intervals == intervals
    whole = math.ceil(timedelta(days=1 if unit == "user-day" else 7) / interval)
    assert ("across its border" in reasons[0]) == (intervals > whole)
    without, _ = derive_bound(PrivacyUnit(unit), observed=5_000, interval=interval, regions=2)
    assert without.intervals >= intervals  # who does not say is charged for the worst


@given(span=st.integers(1, 14), interval=st.integers(1, 14), offset=st.integers(-30, 30))
def test_touched_intervals_are_those_that_overlap(span: int, interval: int, offset: int) -> None:
    """Oracle: lay both grids over each other and count."""
    most = max(
        sum(
            offset + k * interval < (unit + 1) * span and offset + (k + 1) * interval > unit * span
            for k in range(-100, 100)
        )
        for unit in range(15)
    )
    minute = timedelta(minutes=1)
    found = touched_intervals(span * minute, interval * minute, offset * minute)
    assert found == most
    assert touched_intervals(span * minute, interval * minute) >= found


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
