"""Closed forms and trees: equal to their definitions, saved without anything that is executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge as RidgeRegression

from data.panel import Panel
from data.windows import Windows, WindowSpec, make
from models import checkpoint
from models.batch import to_device
from models.config import ForecasterConfig
from models.errors import ModelError
from models.forecasters import fit, new
from models.predict import predict
from models.tabular import trees
from models.tabular.base import rows, width
from models.tabular.trees import _not_above
from models.training.config import TrainingConfig

CPU = torch.device("cpu")


def windows_of(panel: Panel, horizon: int = 1, context: int = 3, seasons: int = 4) -> Windows:
    return make(panel, panel, WindowSpec(6, (24, 48), horizon, context, seasons))


def config_of(windows: Windows, model: str, **settings: Any) -> ForecasterConfig:
    return ForecasterConfig(
        model=model,
        regions=windows.regions,
        lags=6,
        seasonal=2,
        seasonal_context=windows.seasonal_context.shape[2],
        seasonal_change=windows.seasonal_change.shape[1],
        horizon=windows.target.shape[1],
        hidden=4,
        **settings,
    )


def fitted(windows: Windows, name: str, **settings: Any) -> Any:
    model = new(config_of(windows, name, **settings), seed=3)
    fit(model, windows, None, TrainingConfig(epochs=2, device="cpu"))
    return model


def standardised(model: Any, windows: Windows) -> np.ndarray:
    return model._standardised(rows(to_device(windows, CPU))).numpy().astype(np.float64)


def steps(model: Any, windows: Windows) -> np.ndarray:
    batch = to_device(windows, CPU)
    return ((batch.target - batch.past[:, -1:]) / model.step).flatten(1).numpy().astype(np.float64)


@pytest.mark.parametrize(("context", "seasons"), [(0, 0), (3, 4), (9, 1)])
@pytest.mark.parametrize("horizon", [1, 3])
def test_features_are_as_many_as_said_and_know_no_level(
    toy_panel: Panel, context: int, seasons: int, horizon: int
) -> None:
    windows = windows_of(toy_panel, horizon, context, seasons)
    features = rows(to_device(windows, CPU))
    assert features.shape[1] == width(config_of(windows, "ridge"))
    raised = toy_panel.with_values(toy_panel.values + 10_000)
    other = rows(to_device(windows_of(raised, horizon, context, seasons), CPU))
    moved = (other - features).abs().amax(dim=0) > 1
    assert moved.sum() == len(windows.regions)  # the latest value alone


@pytest.mark.parametrize("horizon", [1, 3])
def test_ridge_solves_its_normal_equations(toy_panel: Panel, horizon: int) -> None:
    windows = windows_of(toy_panel, horizon)
    model = fitted(windows, "ridge")
    x, y = standardised(model, windows), steps(model, windows)
    found = [RidgeRegression(alpha).fit(x, y).coef_.T for alpha in np.logspace(0, 5, 16)]
    nearest = min(np.abs(model.weights.numpy() - one).max() for one in found)
    assert nearest < 1e-5


def test_fourier_is_kernel_regression_without_its_windows(
    toy_panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.tabular.fourier.WAVES", 20_000)
    windows = windows_of(toy_panel)
    train, test = windows.take(slice(0, 250)), windows.take(slice(250, None))
    model = fitted(train, "fourier")
    x, y = standardised(model, train), steps(model, train)
    kernel = KernelRidge(kernel="rbf", gamma=0.3 / x.shape[1], alpha=1.0).fit(x, y - y.mean(axis=0))
    want = kernel.predict(standardised(model, test)) + y.mean(axis=0)
    got = (predict(model, test) - test.last[:, None]) / model.step.numpy()
    assert np.sqrt(np.square(got[:, 0] - want).mean()) < 0.1 * want.std()
    assert not any(tensor.shape[:1] == (250,) for tensor in model.state_dict().values())


@pytest.mark.parametrize("horizon", [1, 3])
def test_trees_fall_where_scikit_learn_says(toy_panel: Panel, horizon: int) -> None:
    windows = windows_of(toy_panel, horizon)
    model = fitted(windows, "trees")
    x = torch.from_numpy(standardised(model, windows)).float()
    linear = model.linear.steps(x)
    forest = ExtraTreesRegressor(
        trees.TREES, min_samples_leaf=3 * horizon, max_features=0.5, random_state=3
    ).fit(x.numpy(), steps(model, windows) - linear.numpy())
    want = linear.numpy() + forest.predict(x.numpy())
    np.testing.assert_allclose(model.steps(x).numpy(), want, rtol=1e-4, atol=1e-5)


def test_a_threshold_sends_no_value_to_another_side() -> None:
    draw = np.random.default_rng(0)
    thresholds = draw.normal(size=10_000)
    values = thresholds.astype(np.float32)  # as near as a feature can be
    kept = _not_above(thresholds)
    assert ((values <= kept) == (values.astype(np.float64) <= thresholds)).all()


@pytest.mark.parametrize(
    "name", ["ridge", "fourier", "trees", "poisson", "negbin", "sparse", "blend"]
)
def test_saved_and_loaded_they_forecast_the_same(
    toy_panel: Panel, tmp_path: Path, name: str
) -> None:
    windows = windows_of(toy_panel)
    model = fitted(windows, name, members=("ridge", "trees", "poisson", "gru"))
    checkpoint.save(model, tmp_path / "model", {})
    again = checkpoint.load(tmp_path / "model")
    assert again.config == model.config
    assert np.array_equal(predict(again, windows), predict(model, windows))


def test_a_blend_is_the_mean_of_kinds_and_its_copies_differ(toy_panel: Panel) -> None:
    windows = windows_of(toy_panel)
    blend = fitted(windows, "blend", members=("ridge", "gru"), copies=3)
    linear, networks = blend.groups
    assert [len(linear), len(networks)] == [1, 3]
    forecasts = [predict(one, windows) for one in networks]
    assert not np.allclose(forecasts[0], forecasts[1])
    want = (predict(linear[0], windows) + np.mean(forecasts, axis=0)) / 2
    np.testing.assert_allclose(predict(blend, windows), want, rtol=1e-5)


def test_the_same_seed_fits_the_same_model(toy_panel: Panel) -> None:
    windows = windows_of(toy_panel)
    for name in ("fourier", "trees", "blend"):
        one, other = (predict(fitted(windows, name), windows) for _ in range(2))
    assert np.array_equal(one, other)


def test_a_blend_of_nothing_or_of_blends_is_refused(toy_panel: Panel) -> None:
    windows = windows_of(toy_panel)
    for members in ((), ("blend",), ("forest",)):
        with pytest.raises(ModelError, match="members="):
            config_of(windows, "blend", members=members)
