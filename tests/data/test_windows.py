import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.calendar import FEATURES, features
from data.clean import fill_gaps
from data.errors import DataError
from data.panel import Panel
from data.split import rolling_origin, split
from data.windows import Windows, WindowSpec, latest, make


def panel(length: int = 400, missing: tuple[int, ...] = ()) -> Panel:
    times = pd.date_range("2024-01-01", periods=length, freq="6h", name="time")
    values = np.arange(2.0 * length).reshape(length, 2)
    values[list(missing)] = np.nan
    return Panel(pd.DataFrame(values, times, ["a", "b"]), "test")


specs = st.builds(
    WindowSpec,
    lags=st.integers(1, 30),
    seasonal=st.lists(st.integers(5, 40), max_size=3).map(tuple),
    horizon=st.integers(1, 5),
    seasonal_context=st.integers(0, 6),
    seasons=st.integers(0, 3),
)


@settings(max_examples=40, deadline=None)
@given(spec=specs, pick=st.integers(0, 10**6))
def test_windows_hold_what_their_names_say(spec: WindowSpec, pick: int) -> None:
    """Oracle: each window read from the panel one value at a time."""
    whole = panel()
    windows = make(whole, whole, spec)
    assert len(windows) == 400 - spec.reach - spec.horizon + 1
    one = pick % len(windows)
    start = spec.reach + one  # position of the first target
    values, calendar = whole.values, features(whole.times)
    assert windows.times[one] == whole.times[start]
    assert windows.ends[one] == whole.times[start] + spec.horizon * whole.interval
    for lag in range(spec.lags):
        assert np.array_equal(windows.past[one, lag], values[start - spec.lags + lag])
        assert np.array_equal(windows.past_calendar[one, lag], calendar[start - spec.lags + lag])
    for ahead in range(spec.horizon):
        assert np.array_equal(windows.target[one, ahead], values[start + ahead])
        assert np.array_equal(windows.calendar[one, ahead], calendar[start + ahead])
        for season, offset in enumerate(spec.seasonal):
            assert np.array_equal(
                windows.seasonal[one, season, ahead], values[start + ahead - offset]
            )


@settings(max_examples=25, deadline=None)
@given(spec=specs)
def test_inputs_lie_before_the_targets(spec: WindowSpec) -> None:
    """Values count up with time, so the largest input tells how far a window looks."""
    windows = make(panel(), panel(), spec)
    newest = windows.past.max(axis=(1, 2))
    if spec.seasonal:
        newest = np.maximum(newest, windows.seasonal.max(axis=(1, 2, 3)))
        newest = np.maximum(newest, windows.seasonal_context.max(axis=(1, 2, 3), initial=0))
    assert (newest < windows.target.min(axis=(1, 2))).all()


@settings(max_examples=25, deadline=None)
@given(spec=specs)
def test_the_latest_window_is_the_next_one(spec: WindowSpec) -> None:
    whole = panel()
    cut = Panel(whole.counts.iloc[:300], "test")
    expected = make(whole, whole, spec)
    row = expected.times.get_loc(whole.times[300])
    found = latest(cut, spec)
    assert found.times[0] == whole.times[300]
    for name in (
        "past",
        "past_calendar",
        "seasonal",
        "seasonal_context",
        "seasonal_change",
        "calendar",
    ):
        assert np.array_equal(getattr(found, name)[0], getattr(expected, name)[row])
    assert np.isnan(found.target).all()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"lags": 0}, "lags"),
        ({"lags": 1, "horizon": 0}, "horizon"),
        ({"lags": 1, "horizon": 3, "seasonal": (2,)}, "look at the target"),
    ],
)
def test_impossible_windows(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        WindowSpec(**values)


def test_too_short_a_panel() -> None:
    with pytest.raises(DataError, match="too few"):
        make(panel(20), panel(20), WindowSpec(20))
    with pytest.raises(DataError, match="21 are needed"):
        latest(panel(20), WindowSpec(21))


# Splits


def covered(windows: Windows) -> set[pd.Timestamp]:
    horizon = windows.target.shape[1]
    return {start + step * windows.interval for start in windows.times for step in range(horizon)}


@settings(max_examples=30, deadline=None)
@given(horizon=st.integers(1, 6), test=st.integers(10, 60), validation=st.integers(0, 60))
def test_no_target_is_in_two_parts(horizon: int, test: int, validation: int) -> None:
    windows = make(panel(), panel(), WindowSpec(4, (8,), horizon))
    if 0 < validation < horizon:
        return
    parts = split(windows, test=test, validation=validation)
    train, held, tested = (covered(one) for one in (parts.train, parts.validation, parts.test))
    assert not (train & held) | (held & tested) | (train & tested)
    assert max(train) < min(held or tested) <= min(tested)
    assert tested == set(panel().times[-test:])  # the whole test period is forecast
    assert max(train) < panel().times[-test - validation]


def test_unobserved_targets_are_never_learned_or_scored() -> None:
    gaps = panel(missing=(100, 101, 380))
    windows = make(fill_gaps(gaps), gaps, WindowSpec(4, (8,), 2))
    parts = split(windows, test=60, validation=60)
    for part in (parts.train, parts.validation, parts.test):
        assert not np.isnan(part.target).any()
        assert not {gaps.times[row] for row in (100, 101, 380)} & covered(part)


def test_folds_move_forward_and_stay_before_the_end() -> None:
    windows = make(panel(), panel(), WindowSpec(4))
    folds = rolling_origin(windows, folds=3, size=40)
    for number, fold in enumerate(folds):
        assert covered(fold.test) == set(
            panel().times[400 - (3 - number) * 40 : 400 - (2 - number) * 40]
        )
        assert max(covered(fold.train)) < min(covered(fold.test))
        assert len(fold.validation) == 0


def test_splits_that_leave_nothing_are_refused() -> None:
    windows = make(panel(), panel(), WindowSpec(4))
    with pytest.raises(DataError, match="cannot be split"):
        split(windows, test=380, validation=20)
    with pytest.raises(DataError, match="folds"):
        rolling_origin(windows, folds=10, size=40)


# Gaps


def test_gaps_take_the_week_before_then_the_day_then_the_last() -> None:
    filled = fill_gaps(panel(missing=(0, 3, 10, 50, 78))).values
    whole = panel().values
    assert np.array_equal(filled[50], whole[50 - 28])
    assert np.array_equal(filled[78], whole[50 - 28])  # chained: a week before was missing too
    assert np.array_equal(filled[10], whole[10 - 4])
    assert np.array_equal(filled[3], whole[2])
    assert np.array_equal(filled[0], whole[1])


@settings(max_examples=40, deadline=None)
@given(missing=st.sets(st.integers(1, 199), min_size=1, max_size=60), row=st.integers(1, 199))
def test_repair_never_looks_ahead(missing: set[int], row: int) -> None:
    gaps = panel(200, tuple(missing))
    later = gaps.values.copy()
    later[row:] += 1000
    before, after = fill_gaps(gaps).values, fill_gaps(gaps.with_values(later)).values
    assert np.array_equal(before[:row], after[:row])
    assert np.array_equal(fill_gaps(gaps).values[gaps.observed], gaps.values[gaps.observed])


def test_a_day_of_gaps_is_filled_quickly() -> None:
    gaps = panel(3456, tuple(range(1000, 1048)))
    started = time.perf_counter()
    fill_gaps(gaps)
    assert time.perf_counter() - started < 5  # a run-away check, not a benchmark


# Calendar


def test_one_turn_a_week() -> None:
    times = pd.date_range("2024-01-01", periods=3 * 336, freq="30min")
    found = features(times)
    assert found.shape == (3 * 336, len(FEATURES))
    assert np.allclose(found[:336], found[336:672], atol=1e-6)  # a week, not thirty days
    angle = np.unwrap(np.arctan2(found[:, 2], found[:, 3]))
    assert angle[336] - angle[0] == pytest.approx(2 * np.pi, abs=1e-4)
    assert np.allclose(np.diff(angle), 2 * np.pi / 336, atol=1e-4)
    assert found[: 5 * 48, 4].max() == 0
    assert found[5 * 48 : 336, 4].min() == 1


@pytest.mark.parametrize("horizon", [1, 3])
def test_seasonal_context_and_change_are_read_where_they_say(horizon: int) -> None:
    whole = panel(24 * 9)
    spec = WindowSpec(2, (24, 48), horizon, seasonal_context=5, seasons=3)
    windows = make(whole, whole, spec)
    values = whole.values
    assert spec.reach == 53
    for one in (0, 30, len(windows) - 1):
        first = spec.reach + one
        for index, offset in enumerate(spec.seasonal):
            then = first - offset
            assert np.array_equal(windows.seasonal_context[one, index], values[then - 5 : then])
            changes = [
                values[first - k * offset :][:horizon] - values[first - k * offset - 1]
                for k in (1, 2, 3)
                if first - k * offset - 1 >= 0
            ]
            np.testing.assert_allclose(
                windows.seasonal_change[one, index], np.mean(changes, axis=0)
            )


def test_nothing_more_is_read_unless_asked_for() -> None:
    whole = panel(24 * 4)
    windows = make(whole, whole, WindowSpec(2, (24,), 1))
    assert windows.seasonal_context.shape == (len(windows), 1, 0, len(whole.regions))
    assert windows.seasonal_change.shape == (len(windows), 0, 1, len(whole.regions))
    for name in ("seasonal_context", "seasons"):
        with pytest.raises(ValueError, match="0 or more"):
            WindowSpec(2, (24,), 1, **{name: -1})
