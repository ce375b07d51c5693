"""The windows that the accountant counts are the windows that change."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.panel import Panel
from data.windows import Windows, WindowSpec, make
from dp.unit.privacy_unit import IntervalUnit, PrivacyUnit, parse_unit
from dp.unit.window_reach import WindowReach, affected_windows

HALF_HOUR = timedelta(minutes=30)


def windows_of(values: np.ndarray, spec: WindowSpec) -> Windows:
    times = pd.date_range("2024-01-01", periods=len(values), freq="30min", name="time")
    panel = Panel(pd.DataFrame(values, times, ["a", "b"]), "mine")
    return make(panel, panel, spec)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_change_reaches_exactly_the_windows_that_are_counted(data: st.DataObject) -> None:
    horizon = data.draw(st.integers(1, 3), "horizon")
    seasonal = tuple(
        data.draw(st.lists(st.integers(horizon, 30), max_size=3, unique=True), "seasonal")
    )
    spec = WindowSpec(data.draw(st.integers(1, 8), "lags"), seasonal, horizon)
    width = data.draw(st.integers(1, 6), "width")
    values = np.random.default_rng(0).normal(size=(120, 2))
    changed = values.copy()
    at = data.draw(st.integers(45, 70), "at")  # far from both ends
    changed[at : at + width] += 1.0
    before, after = windows_of(values, spec), windows_of(changed, spec)
    differ = np.zeros(len(before), dtype=bool)
    for name in ("past", "seasonal", "target"):
        one, other = getattr(before, name), getattr(after, name)
        differ |= (one != other).reshape(len(before), -1).any(axis=1)
    assert differ.sum() == WindowReach(spec.lags, seasonal, horizon).affected(width)


@given(
    lags=st.integers(1, 50),
    horizon=st.integers(1, 12),
    width=st.integers(1, 50),
    stride=st.integers(1, 9),
)
def test_without_seasons_it_is_the_known_formula(
    lags: int, horizon: int, width: int, stride: int
) -> None:
    assert WindowReach(lags, (), horizon).affected(width) == lags + horizon - 1 + width
    strided = WindowReach(lags, (), horizon, stride).affected(width)
    assert strided == -(-(lags + horizon - 1 + width) // stride)


def test_seasonal_lags_put_an_interval_into_more_windows() -> None:
    assert WindowReach(2, (48, 336)).affected(1) == 5
    assert WindowReach(2, (48, 336)).affected(48) == 96 + 48  # the next day follows on
    assert WindowReach(48, (24,)).affected(1) == 49  # 24 back is among the lags


@pytest.mark.parametrize(
    ("unit", "declared", "hit"),
    [
        (IntervalUnit(1), None, 5),
        (IntervalUnit(2), None, 8),
        (PrivacyUnit.USER_INTERVAL, None, 5),
        (PrivacyUnit.USER_DAY, None, 144),
        (PrivacyUnit.USER_DAY, 16, 80),
        (PrivacyUnit.USER_WEEK, None, 672),
        (PrivacyUnit.USER, None, 3000),
        (PrivacyUnit.USER, 100, 500),
    ],
)
def test_units_hit_windows(
    unit: PrivacyUnit | IntervalUnit, declared: int | None, hit: int
) -> None:
    found, why = affected_windows(
        unit,
        WindowReach(2, (48, 336)),
        windows=3000,
        interval=HALF_HOUR,
        intervals_per_unit=declared,
        start=datetime(2024, 1, 1),
    )
    assert found == hit
    assert "window" in why


@pytest.mark.slow
def test_units_by_name() -> None:
    assert parse_unit("interval-3") == IntervalUnit(3)
    assert parse_unit("user-day") is PrivacyUnit.USER_DAY
    assert parse_unit("interval-3").value == "interval-3"
    assert "3 consecutive" in IntervalUnit(3).protects
    for name in ("interval-0", "interval--1", "interval", "interval-1.5", "person"):
        with pytest.raises(ValueError, match="interval-"):
            parse_unit(name)
