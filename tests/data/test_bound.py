"""The contribution bound of events: how many intervals a unit has, and which bounds are refused."""

from datetime import datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data.bound import Bound, enforceable, intervals_of
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


def _ever(unit: str, most: int | None, *, regions: int = 6, at_once: int | None = None) -> Bound:
    hour = timedelta(hours=1)
    return enforceable(
        unit,
        periods=96,
        interval=hour,
        regions=regions,
        regions_per_interval=at_once,
        regions_ever=most,
    )


def test_a_unit_may_be_in_all_regions_unless_fewer_are_asked_for() -> None:
    assert _ever("user", None).regions_ever is None
    assert _ever("user", 6).regions_ever is None
    bound = _ever("user-week", 3, at_once=2)
    assert (bound.regions_ever, bound.regions, bound.cuts_regions) == (3, 2, True)
    one = _ever("user-interval", 5, at_once=2)
    assert (one.regions_ever, one.cuts_regions) == (2, False)


@pytest.mark.parametrize(
    ("most", "at_once", "said"),
    [
        (7, None, "regions_ever=7 to be at most 6 regions"),
        (2, 3, "regions_ever=2 to be at least 3, the regions that count one person"),
        (0, None, "regions_ever=0 to be a whole number of at least 1"),
        (-1, None, "regions_ever=-1 to be a whole number of at least 1"),
    ],
)
@pytest.mark.parametrize("unit", ["user", "user-day", "user-interval"])
def test_a_number_of_regions_that_does_not_fit_is_refused(
    unit: str, most: int, at_once: int | None, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        _ever(unit, most, at_once=at_once)


def test_a_bound_has_at_least_as_many_regions_ever_as_at_once() -> None:
    with pytest.raises(ValueError, match="regions_ever=1 to be at least 2"):
        Bound("user-day", 4, 2, 1, 4, 1)
    with pytest.raises(ValueError, match=r"regions_ever=1\.5 to be a whole number"):
        Bound("user-day", 4, 1, 1, 4, 1.5)  # type: ignore[arg-type]
