"""The contribution bound of events: how many intervals a unit has, and which bounds are refused."""

from datetime import datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data.bound import enforceable, intervals_of
from dp.unit.privacy_unit import PrivacyUnit
from dp.unit.privacy_unit import intervals_of as accounted

DAY = 24 * 3600
DIVISORS = [seconds for seconds in range(1, DAY + 1) if DAY % seconds == 0]


@given(
    unit=st.sampled_from(list(PrivacyUnit)),
    seconds=st.sampled_from(DIVISORS),
    periods=st.integers(1, 100_000),
    first=st.integers(0, 10**6),
)
@example(unit=PrivacyUnit.USER_DAY, seconds=1800, periods=96, first=7)
def test_a_unit_has_as_many_intervals_as_it_is_accounted_for(
    unit: PrivacyUnit, seconds: int, periods: int, first: int
) -> None:
    interval = timedelta(seconds=seconds)
    start = datetime(2020, 1, 1) + first * interval
    enforced = intervals_of(unit.value, periods=periods, interval=interval)
    assert enforced == accounted(unit, observed=periods, interval=interval, start=start)
    # without a known start the account assumes the worst, never less
    assert enforced <= accounted(unit, observed=periods, interval=interval)


def test_a_unit_of_everybody_has_no_bound_on_events() -> None:
    with pytest.raises(ValueError, match="unit='interval-3' has no bound on events"):
        intervals_of("interval-3", periods=96, interval=timedelta(minutes=30))


def test_a_bound_is_cut_to_what_the_panel_has() -> None:
    bound = enforceable(
        "user-day",
        periods=96,
        interval=timedelta(hours=1),
        regions=2,
        intervals_per_unit=30,
        regions_per_interval=5,
    )
    assert (bound.intervals, bound.regions, bound.slots, bound.cuts) == (24, 2, 24, False)
