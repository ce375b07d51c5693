from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from data.panel import Panel
from data.windows import Windows, WindowSpec, make
from models.baselines import persistence, seasonal
from models.errors import ModelError


@pytest.mark.parametrize("horizon", [1, 3])
def test_persistence_and_seasonal_read_the_panel(
    toy_panel: Panel, toy_windows: Callable[..., Windows], horizon: int
) -> None:
    windows = toy_windows(seasonal=(24, 48), horizon=horizon)
    values, first = toy_panel.values, 48
    got = persistence(windows)
    assert got.shape == windows.target.shape
    np.testing.assert_array_equal(got[5], np.repeat(values[[first + 4]], horizon, axis=0))
    for index, back in enumerate((24, 48)):
        start = first + 5 - back
        np.testing.assert_array_equal(seasonal(windows, index)[5], values[start : start + horizon])


@pytest.mark.parametrize("index", [-1, 1])
def test_seasonal_lag_that_is_not_there(toy_windows: Callable[..., Windows], index: int) -> None:
    with pytest.raises(ModelError, match=f"index={index}: the windows have 1 seasonal"):
        seasonal(toy_windows(), index)


def test_baselines_are_clipped_at_zero(toy_panel: Panel) -> None:
    below = toy_panel.with_values(toy_panel.values - 5000)  # as after noise
    windows = make(below, below, WindowSpec(6, (24,), 1))
    for forecast in (persistence(windows), seasonal(windows, 0)):
        assert forecast.min() == 0
