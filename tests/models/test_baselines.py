from __future__ import annotations

import numpy as np
import pytest

from data.panel import Panel
from data.windows import WindowSpec, make
from models.baselines import Ridge, persistence, seasonal
from models.errors import ModelError


@pytest.mark.parametrize("horizon", [1, 3])
def test_persistence_and_seasonal_read_the_panel(toy_panel, toy_windows, horizon) -> None:
    windows = toy_windows(seasonal=(24, 48), horizon=horizon)
    values, first = toy_panel.values, 48
    got = persistence(windows)
    assert got.shape == windows.target.shape
    np.testing.assert_array_equal(got[5], np.repeat(values[[first + 4]], horizon, axis=0))
    for index, back in enumerate((24, 48)):
        start = first + 5 - back
        np.testing.assert_array_equal(seasonal(windows, index)[5], values[start : start + horizon])


@pytest.mark.parametrize("index", [-1, 1])
def test_seasonal_lag_that_is_not_there(toy_windows, index) -> None:
    with pytest.raises(ModelError, match=f"index={index}: the windows have 1 seasonal"):
        seasonal(toy_windows(), index)


@pytest.mark.parametrize("horizon", [1, 3])
def test_ridge_equals_the_normal_equations(toy_windows, horizon) -> None:
    windows = toy_windows(horizon=horizon)
    train, test = windows.take(slice(0, 300)), windows.take(slice(300, None))

    def design(part):
        arrays = (part.past, part.seasonal, part.calendar)
        return np.concatenate([array.reshape(len(part), -1) for array in arrays], axis=1)

    x, y = design(train), (train.target - train.last[:, None]).reshape(300, -1)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    z = (x - mean) / np.where(scale > 0, scale, 1)
    weights = np.linalg.solve(z.T @ z + 3.0 * np.eye(z.shape[1]), z.T @ (y - y.mean(axis=0)))
    steps = (design(test) - mean) / np.where(scale > 0, scale, 1) @ weights + y.mean(axis=0)
    want = np.maximum(test.last[:, None] + steps.reshape(test.target.shape), 0)
    np.testing.assert_allclose(Ridge.fit(train, alpha=3.0).predict(test), want, rtol=1e-8)


def test_baselines_are_clipped_at_zero(toy_panel) -> None:
    below = toy_panel.with_values(toy_panel.values - 5000)  # as after noise
    windows = make(below, below, WindowSpec(6, (24,), 1))
    ridge = Ridge.fit(windows, alpha=1.0)
    for forecast in (persistence(windows), seasonal(windows, 0), ridge.predict(windows)):
        assert forecast.min() == 0


def test_ridge_refuses_what_it_cannot_fit(toy_windows) -> None:
    with pytest.raises(ModelError, match="alpha=0 must be above 0"):
        Ridge.fit(toy_windows(), alpha=0)
    with pytest.raises(ModelError, match="no window"):
        Ridge.fit(toy_windows().take(slice(0, 0)))


def test_one_region_keeps_its_shape(toy_panel) -> None:
    one = Panel(counts=toy_panel.counts[["north"]], source="one")
    windows = make(one, one, WindowSpec(6, (24,), 1))
    assert Ridge.fit(windows, alpha=1.0).predict(windows).shape == windows.target.shape
