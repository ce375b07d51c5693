from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from data.panel import Panel
from data.windows import Windows, WindowSpec, make
from models.baselines import persistence
from models.config import ForecasterConfig
from models.errors import ModelError
from models.forecaster import Forecaster, fit_scaler
from models.forecasters import new
from models.predict import predict
from models.registry import NETWORKS


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("linear_skip", [True, False])
def test_untrained_is_persistence(
    toy_windows: Callable[..., Windows],
    config_of: Callable[..., ForecasterConfig],
    name: str,
    horizon: int,
    linear_skip: bool,
) -> None:
    windows = toy_windows(horizon=horizon)
    model = new(config_of(windows, name, linear_skip=linear_skip), seed=0)
    fit_scaler(model, windows)
    np.testing.assert_array_equal(predict(model, windows), persistence(windows))


def _stirred(config: ForecasterConfig) -> Forecaster:
    """A forecaster that is no longer persistence."""
    model = new(config, seed=1)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        for weight in model.parameters():
            nn.init.normal_(weight, std=0.3)
    return model


@pytest.mark.parametrize("horizon", [1, 3])
def test_nothing_after_the_origin_changes_the_forecast(
    toy_panel: Panel, config_of: Callable[..., ForecasterConfig], horizon: int
) -> None:
    spec = WindowSpec(6, (24,), horizon)
    windows = make(toy_panel, toy_panel, spec)
    model = _stirred(config_of(windows))
    fit_scaler(model, windows.take(slice(0, 100)))
    origin = 24 + 200  # window 200 forecasts from here on
    values = toy_panel.values.copy()
    values[origin:] = 1e6
    changed = toy_panel.with_values(values)
    before = predict(model, windows)
    after = predict(model, make(changed, changed, spec))
    np.testing.assert_array_equal(after[:201], before[:201])
    assert not np.array_equal(after[201], before[201])  # the oracle sees what lies before


def test_scaler_is_measured_on_the_given_windows(
    toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    windows = toy_windows(horizon=3)
    model = new(config_of(windows), seed=0)
    fit_scaler(model, windows)
    last, target = windows.last, windows.target
    np.testing.assert_allclose(model.mean.numpy(), last.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(model.scale.numpy(), last.std(axis=0), rtol=1e-6)
    steps = target - last[:, None]
    np.testing.assert_allclose(model.step.numpy(), np.sqrt((steps**2).mean(axis=(0, 1))), rtol=1e-6)
    assert {"mean", "scale", "step"} <= set(model.state_dict())
    assert not any(buffer.requires_grad for buffer in model.buffers())


def test_a_region_that_never_changes_gives_finite_forecasts(
    toy_panel: Panel, config_of: Callable[..., ForecasterConfig]
) -> None:
    values = toy_panel.values.copy()
    values[:, 1] = 7
    still = toy_panel.with_values(values)
    windows = make(still, still, WindowSpec(6, (24,), 1))
    model = _stirred(config_of(windows))
    fit_scaler(model, windows)
    assert np.isfinite(predict(model, windows)).all()


@pytest.mark.parametrize("lags", [1, 6])
@pytest.mark.parametrize("seasonal", [(), (24, 48)])
def test_forecasts_do_not_depend_on_the_batch(
    toy_windows: Callable[..., Windows],
    config_of: Callable[..., ForecasterConfig],
    lags: int,
    seasonal: tuple[Any, ...],
) -> None:
    windows = toy_windows(lags=lags, seasonal=seasonal)
    model = _stirred(config_of(windows)).train()
    fit_scaler(model, windows)
    whole, pieces = predict(model, windows), predict(model, windows, batch=7)
    np.testing.assert_allclose(whole, pieces, rtol=1e-5)
    assert model.training  # left as it was
    assert whole.dtype == np.float64
    assert whole.min() >= 0
    assert predict(model, windows.take(slice(0, 0))).shape == (0, 1, 2)


def test_same_seed_same_weights_and_global_random_numbers_untouched(
    toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    config = config_of(toy_windows())
    before = torch.get_rng_state()
    first, second, third = new(config, seed=3), new(config, seed=3), new(config, seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    key = "net.rnn.weight_ih_l0"
    assert torch.equal(first.state_dict()[key], second.state_dict()[key])
    assert not torch.equal(first.state_dict()[key], third.state_dict()[key])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", "rnn"),
        ("hidden", 0),
        ("layers", 0),
        ("dropout", 1.0),
        ("dropout", float("nan")),
        ("lags", 0),
        ("seasonal", -1),
        ("horizon", 0),
        ("features", -1),
        ("regions", ()),
        ("regions", ("a", "a")),
    ],
)
def test_invalid_configuration_names_field_and_value(
    toy_windows: Callable[..., Windows],
    config_of: Callable[..., ForecasterConfig],
    field: str,
    value: Any,
) -> None:
    config = config_of(toy_windows())
    with pytest.raises(ModelError) as error:
        replace(config, **{field: value})
    assert field in str(error.value)
    assert str(value) in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lags": 5}, "lags=6, the model was built for 5"),
        ({"seasonal": 2}, "seasonal=1, the model was built for 2"),
        ({"horizon": 2}, "horizon=1, the model was built for 2"),
        ({"features": 4}, "features=5, the model was built for 4"),
        ({"regions": ("south", "north")}, "regions=.*built for"),
    ],
)
def test_windows_of_another_shape_are_refused(
    toy_windows: Callable[..., Windows],
    config_of: Callable[..., ForecasterConfig],
    change: dict[str, Any],
    message: str,
) -> None:
    windows = toy_windows()
    model = new(config_of(windows, **change), seed=0)
    with pytest.raises(ModelError, match=message):
        predict(model, windows)


def test_gaps_are_refused_without_quoting_a_count(
    toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    windows = toy_windows()
    model = new(config_of(windows), seed=0)
    holed = windows.past.copy()
    holed[4, 2] = np.nan
    with pytest.raises(ModelError, match="gaps in the inputs of the model"):
        predict(model, replace(windows, past=holed))
    target = windows.target.copy()
    target[4] = np.nan
    gap = replace(windows, target=target)
    predict(model, gap)  # forecasting needs no target
    with pytest.raises(ModelError, match="observed target"):
        fit_scaler(model, gap)
    with pytest.raises(ModelError, match="regions="):
        fit_scaler(model, replace(windows, regions=("a", "b")))
