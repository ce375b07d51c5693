"""Convex and sparse heads: what they solve, and that counts of any kind give finite forecasts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import nbinom
from sklearn.linear_model import PoissonRegressor

from data.panel import Panel
from data.windows import Windows, WindowSpec, make
from models.batch import to_device
from models.config import ForecasterConfig
from models.errors import ModelError
from models.heads.families import NegativeBinomial, PoissonLike, by_moments
from models.heads.poisson import NegBin, Poisson
from models.heads.sparse import _RATES, Sparse, path
from models.metrics import rmse
from models.predict import predict
from models.registry import HEADS
from models.solvers import prox_cg
from models.solvers.penalties import L1, Mcp, Scad
from models.tabular.base import rows, width

CPU = torch.device("cpu")
KINDS = {"poisson": Poisson, "negbin": NegBin, "sparse": Sparse}


def windows_of(panel: Panel, horizon: int = 1) -> Windows:
    return make(panel, panel, WindowSpec(6, (24, 48), horizon, 3, 4))


def config_of(windows: Windows, horizon: int = 1) -> ForecasterConfig:
    return ForecasterConfig(
        regions=windows.regions,
        lags=6,
        seasonal=2,
        seasonal_context=3,
        seasonal_change=2,
        horizon=horizon,
    )


def fitted(name: str, windows: Windows, **options: Any) -> Any:
    model = KINDS[name](config_of(windows, windows.target.shape[1]), **options)
    model.fit(windows)
    return model.eval()


def error(forecast: np.ndarray, windows: Windows) -> float:
    return rmse(forecast, windows.target, windows.regions).mean


def changed(panel: Panel, change: Callable[[np.ndarray], np.ndarray]) -> Panel:
    """The panel with other values."""
    return panel.with_values(change(np.array(panel.values)))


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("name", KINDS)
def test_each_beats_persistence_on_days_it_has_not_seen(
    toy_panel: Panel, name: str, horizon: int
) -> None:
    windows = windows_of(toy_panel, horizon)
    train, test = windows.take(slice(0, 300)), windows.take(slice(300, None))
    model = fitted(name, train)
    last = np.repeat(test.last[:, None], horizon, axis=1)
    forecast = predict(model, test)
    assert forecast.shape == test.target.shape
    assert error(forecast, test) < 0.3 * error(last, test)


@pytest.mark.parametrize("name", KINDS)
def test_before_fitting_each_is_close_to_persistence(toy_panel: Panel, name: str) -> None:
    windows = windows_of(toy_panel, 3)
    model = KINDS[name](config_of(windows, 3))
    last = np.repeat(windows.last[:, None], 3, axis=1)
    np.testing.assert_allclose(predict(model, windows), last, atol=0.51)


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("name", KINDS)
def test_a_state_dict_is_all_there_is(toy_panel: Panel, name: str, horizon: int) -> None:
    windows = windows_of(toy_panel, horizon)
    model = fitted(name, windows)
    again = KINDS[name](config_of(windows, horizon))
    again.load_state_dict({key: value.clone() for key, value in model.state_dict().items()})
    assert np.array_equal(predict(again, windows), predict(model, windows))
    assert np.array_equal(predict(fitted(name, windows), windows), predict(model, windows))
    assert not any(len(windows) in value.shape for value in model.state_dict().values())


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("drowned", [False, True])
def test_an_empty_region_is_forecast_empty(toy_panel: Panel, name: str, drowned: bool) -> None:
    draw = np.random.default_rng(1)

    def empty(values: np.ndarray) -> np.ndarray:
        values[:, 1] = 0
        if drowned:  # by noise: nobody is there, and half of the counts are negative
            values += np.round(draw.normal(0, 300, values.shape))
        return values

    windows = windows_of(changed(toy_panel, empty))
    forecast = predict(fitted(name, windows), windows)
    assert np.isfinite(forecast).all()
    assert forecast[:, :, 1].mean() < (100 if drowned else 0.1)
    assert error(forecast, windows) < error(windows.last[:, None], windows)


@pytest.mark.parametrize("name", KINDS)
def test_noise_that_makes_counts_negative_does_no_harm(toy_panel: Panel, name: str) -> None:
    draw = np.random.default_rng(2)
    noised = changed(toy_panel, lambda values: values + np.round(draw.normal(0, 700, values.shape)))
    assert (noised.values < 0).sum() > 20
    windows, truth = windows_of(noised), windows_of(toy_panel)
    train, test = windows.take(slice(0, 300)), windows.take(slice(300, None))
    forecast = predict(fitted(name, train), test)
    assert np.isfinite(forecast).all()
    target = truth.target[300:]
    scale = error(test.last[:, None], replace(test, target=target))
    assert error(forecast, replace(test, target=target)) < 0.6 * scale
    bias = (forecast - target).mean(axis=(0, 1))
    assert (np.abs(bias) < 100).all()  # clipping the targets at 0 would raise the second by more


@pytest.mark.parametrize("name", ["poisson", "negbin"])
def test_forecasts_stay_finite_far_from_what_was_seen(toy_panel: Panel, name: str) -> None:
    windows = windows_of(toy_panel)
    model = fitted(name, windows)
    most = 2 * windows.target.max(axis=(0, 1))
    for factor in (1e6, -1e6):
        far = windows_of(changed(toy_panel, partial(np.multiply, factor)))
        forecast = predict(model, far)
        assert np.isfinite(forecast).all()
        assert (forecast <= most * 1.0001).all()


@pytest.mark.parametrize("name", KINDS)
def test_every_fit_is_finite_for_any_counts(toy_panel: Panel, name: str) -> None:
    for make_up in (
        lambda values: np.full_like(values, -7.0),
        lambda values: np.full_like(values, 12.0),
        lambda values: np.where(np.arange(len(values))[:, None] % 97 == 0, 1e7, 0.0) + 0 * values,
        lambda values: -values,
    ):
        windows = windows_of(changed(toy_panel, make_up)).take(slice(0, 60))
        assert np.isfinite(predict(fitted(name, windows), windows)).all()


# what is solved


def table_of(
    seed: int, features: int = 5, count: int = 400
) -> tuple[np.random.Generator, np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    table = draw.normal(size=(count, features))
    table = (table - table.mean(axis=0)) / table.std(axis=0)
    offset = np.log(draw.uniform(20, 60, count))
    mean = np.exp(offset + 0.3 * table[:, 0] - 0.2 * table[:, 1] + 0.1)
    return draw, table, offset, mean


def test_poisson_is_the_penalised_fit_of_scikit_learn(toy_panel: Panel) -> None:
    model = Poisson(config_of(windows_of(toy_panel)))
    draw, table, _, mean = table_of(3)
    level = np.full(len(table), np.log(mean.mean()))
    counts = draw.poisson(mean).astype(float)
    beta = model.fit_counts(table, level, counts)
    # an offset that is the same everywhere is a bias; ours is penalised, by next to nothing
    penalties = np.logspace(0, 5, 16) * mean.mean() / len(table)
    found = [
        PoissonRegressor(alpha=alpha, tol=1e-8, max_iter=1000).fit(table, counts).coef_
        for alpha in penalties
    ]
    assert min(np.abs(beta[:-1] - one).max() for one in found) < 1e-4
    np.testing.assert_allclose(beta[:2], [0.3, -0.2], atol=0.03)


@settings(deadline=None)
@given(
    eta=st.floats(-8, 8),
    count=st.floats(-1e4, 1e4),
    alpha=st.floats(1e-6, 2),
    shift=st.floats(1e-3, 1e5),
)
def test_slopes_of_losses_are_the_scores(
    eta: float, count: float, alpha: float, shift: float
) -> None:
    point, step = np.array([eta]), 1e-4
    for family in (PoissonLike(), NegativeBinomial(alpha, shift)):
        mean = np.exp(point)
        score = (mean - count) * family.weight(mean)
        up, down = (family.loss(point + one, np.array([count])) for one in (step, -step))
        rough = 1e-5 * (1 + abs(count) + np.exp(eta)) * family.weight(mean)[0] + 1e-5
        assert float((up - down)[0]) / (2 * step) == pytest.approx(
            float(score[0]), abs=rough, rel=1e-5
        )
    variance = mean / family.weight(mean)
    raised = mean + shift
    assert variance == pytest.approx(raised + alpha * raised**2)


def test_the_shifted_loss_is_the_negative_binomial_likelihood() -> None:
    alpha, shift = 0.3, 1e-8
    family, eta = NegativeBinomial(alpha, shift), np.log(np.array([2.0, 9.0, 40.0]))
    for count in (0, 3, 50):
        mean = np.exp(eta)
        exact = -nbinom.logpmf(count, 1 / alpha, 1 / (1 + alpha * mean))
        ours = family.loss(eta, np.full(3, float(count)))
        np.testing.assert_allclose(np.diff(ours), np.diff(exact), atol=1e-6)


def test_negbin_is_at_the_minimum_of_its_own_loss(toy_panel: Panel) -> None:
    model = NegBin(config_of(windows_of(toy_panel)))
    draw, table, offset, mean = table_of(4)
    counts = draw.negative_binomial(4, 4 / (4 + mean)).astype(float)
    beta = model.fit_counts(table, offset, counts)
    np.testing.assert_allclose(beta[:2], [0.3, -0.2], atol=0.1)
    first = Poisson.fit_counts(model, table, offset, counts)
    family = by_moments(np.exp(offset + table @ first[:-1] + first[-1]), counts)
    assert family.dispersion == pytest.approx(0.25, rel=0.25)
    assert family.shift < 30
    weights = np.exp(offset) * family.weight(np.exp(offset))

    def penalised(x: np.ndarray, alpha: float) -> float:
        loss = family.loss(offset + table @ x[:-1] + x[-1], counts).sum() / weights.mean()
        return (loss + alpha * x[:-1] @ x[:-1] / 2 + x[-1] ** 2 / 2) / len(table)

    gaps = []
    for alpha in np.logspace(0, 5, 16):
        other = minimize(penalised, np.zeros(6), args=(alpha,), tol=1e-12)
        gaps.append(np.abs(other.x - beta).max())
    assert min(gaps) < 1e-4


@pytest.mark.parametrize(("alpha", "noise"), [(0.2, 0.0), (0.0, 200.0), (0.05, 200.0)])
def test_noise_is_not_taken_for_dispersion(alpha: float, noise: float) -> None:
    draw = np.random.default_rng(6)
    mean = draw.uniform(50, 3000, 20_000)
    rate = mean * (draw.gamma(1 / alpha, alpha, len(mean)) if alpha else 1.0)
    counts = draw.poisson(rate) + np.round(draw.normal(0, noise, len(mean)))
    found = by_moments(mean, counts)
    assert found.dispersion == pytest.approx(alpha, abs=2e-3, rel=0.1)
    constant = found.shift + found.dispersion * found.shift**2  # the variance where nobody is
    assert constant == pytest.approx(noise**2, abs=60_000 * alpha + 2000)


def test_fields_of_every_step_ahead_are_its_own(toy_panel: Panel) -> None:
    windows = windows_of(toy_panel, 3)
    model = fitted("poisson", windows)
    assert model.weights.shape == (3, width(config_of(windows)), 2)
    batch = to_device(windows, CPU)
    base = model(batch)
    later = batch.seasonal.clone()
    later[:, :, 2] += 100
    moved = (model(replace(batch, seasonal=later)) - base).abs().amax(dim=(0, 2))
    assert moved[:2].tolist() == [0, 0]
    assert moved[2] > 1


# sparse


def regression_of(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    windows = windows_of(panel)
    batch = to_device(windows, CPU)
    table = rows(batch).numpy().astype(np.float64)
    spread = table.std(axis=0)
    table = (table - table.mean(axis=0)) / np.where(spread > 0, spread, 1)
    steps = (batch.target - batch.past[:, -1:]).flatten(1).numpy().astype(np.float64)
    return table, (steps - steps.mean(axis=0)) / steps.std(axis=0)


@pytest.mark.parametrize("penalty", [L1, Scad, Mcp])
def test_screening_loses_nothing(toy_panel: Panel, penalty: type[Any]) -> None:
    table, steps = regression_of(toy_panel)
    gram, moments = table.T @ table / len(table), table.T @ steps[:, 0] / len(table)
    top = np.abs(moments).max()
    found = list(path(gram, moments, penalty, prox_cg.minimise))
    assert len(found) == len(_RATES)
    assert not found[0].any()
    for rate, beta in zip(_RATES * top, found, strict=True):
        rule = penalty(float(rate))
        slopes = gram @ beta - moments
        rest = slopes - rule.concave_gradient(beta)
        inside, outside = beta != 0, beta == 0
        assert np.abs(rest + rate * np.sign(beta))[inside].max(initial=0) < 2e-6 * top
        assert np.abs(rest)[outside].max(initial=0) < rate + 2e-6 * top


def test_sparse_reads_few_features_and_both_solvers_find_them(toy_panel: Panel) -> None:
    windows = windows_of(toy_panel)
    models = [fitted("sparse", windows, solver=name) for name in HEADS["sparse"]]
    for model in models:
        kept = (model.weights != 0).sum(dim=0)
        assert (kept > 0).all()
        assert (kept < len(model.weights) / 3).all()
    one, other = (predict(model, windows) for model in models)
    assert error(one, replace(windows, target=other)) < 0.1 * error(one, windows)


def test_sparse_finds_the_features_that_matter_and_does_not_shrink_them(toy_panel: Panel) -> None:
    windows = windows_of(toy_panel)
    draw = np.random.default_rng(7)
    features = torch.from_numpy(draw.normal(size=(500, width(config_of(windows))))).float()
    truth = np.zeros((features.shape[1], 2))
    truth[[1, 4], 0], truth[[0, 7, 9], 1] = [2, -1], [1, 1, -3]
    steps = features.numpy().astype(np.float64) @ truth + 5 + draw.normal(0, 0.5, (500, 2))
    for penalty in (Scad, Mcp):
        kind = type("Kind", (Sparse,), {"penalty": penalty})
        model = kind(config_of(windows))
        model.fit_rows(features, steps)
        assert np.array_equal(model.weights.numpy() != 0, truth != 0)
        for output in range(2):
            kept = truth[:, output] != 0
            full = np.column_stack([features.numpy()[:, kept], np.ones(500)])
            oracle = np.linalg.lstsq(full, steps[:, output], rcond=None)[0]
            np.testing.assert_allclose(model.weights.numpy()[kept, output], oracle[:-1], atol=1e-4)
            assert model.bias[output] == pytest.approx(oracle[-1], abs=1e-4)


def test_steps_without_noise_are_explained_in_full(toy_panel: Panel) -> None:
    windows = windows_of(toy_panel)
    draw = np.random.default_rng(8)
    features = torch.from_numpy(draw.normal(size=(200, width(config_of(windows))))).float()
    steps = 2 * features.numpy().astype(np.float64)[:, [3, 5]]
    model = Sparse(config_of(windows))
    model.fit_rows(features, np.column_stack([steps[:, 0], np.zeros(200)]))
    assert model.weights[3, 0] == pytest.approx(2, abs=1e-3)
    assert (model.weights[:, 1] == 0).all()
    np.testing.assert_allclose(model.steps(features)[:, 0], steps[:, 0], atol=0.01)


@pytest.mark.parametrize("name", KINDS)
def test_a_solver_for_others_is_refused(toy_panel: Panel, name: str) -> None:
    config = config_of(windows_of(toy_panel))
    for solver in HEADS[name]:
        KINDS[name](config, solver=solver)
    wrong = "prox_cg" if name != "sparse" else "gns"
    with pytest.raises(ModelError, match=rf"solver '{wrong}' is for .*; {name} takes"):
        KINDS[name](config, solver=wrong)
