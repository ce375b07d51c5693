from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from data.windows import Windows
from models.baselines import persistence
from models.batch import Batch
from models.config import ForecasterConfig
from models.device import pick_device
from models.errors import ModelError
from models.forecaster import fit_scaler
from models.forecasters import new
from models.metrics import rmse
from models.predict import predict
from models.registry import NETWORKS
from models.training.epochs import Epoch, History
from models.training.train import PlainUpdates, TrainingConfig, train

QUICK = TrainingConfig(epochs=4, batch_size=32, learning_rate=5e-3, device="cpu")


def _fitted(
    config_of: Callable[..., ForecasterConfig],
    windows: Windows,
    config: TrainingConfig = QUICK,
    validation: Windows | None = None,
    **settings: Any,
) -> tuple[Any, History]:
    model = new(config_of(windows, **settings), seed=0)
    fit_scaler(model, windows)
    return model, train(model, windows, validation, config)


def number(value: float | None) -> float:
    assert value is not None
    return value


def _score(forecast: np.ndarray, windows: Windows) -> float:
    return rmse(forecast, windows.target, windows.regions).mean


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("horizon", [1, 3])
def test_learning_beats_persistence_by_far(
    toy_windows: Callable[..., Windows],
    config_of: Callable[..., ForecasterConfig],
    name: str,
    horizon: int,
) -> None:
    windows = toy_windows(horizon=horizon)
    past, future = windows.take(slice(0, 380)), windows.take(slice(383, None))
    model, history = _fitted(config_of, past, replace(QUICK, epochs=8), model=name)
    assert _score(predict(model, future), future) < 0.5 * _score(persistence(future), future)
    assert number(history.epochs[-1].loss) < number(history.epochs[0].loss)
    assert [epoch.number for epoch in history.epochs] == list(range(1, 9))
    assert (history.best, history.stopped_early) == (8, False)
    assert all(epoch.validation is None for epoch in history.epochs)


def test_same_seed_gives_bit_equal_weights_and_leaves_global_state(
    toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    windows = toy_windows()
    settings: dict[str, Any] = {"dropout": 0.2}
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    first, _ = _fitted(config_of, windows, **settings)
    second, _ = _fitted(config_of, windows, **settings)
    other, _ = _fitted(config_of, windows, replace(QUICK, seed=1), **settings)
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.get_num_threads() == threads
    weights = second.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in first.state_dict().items())
    assert not torch.equal(other.head.weight, first.head.weight)


def test_global_random_numbers_do_not_reach_the_training(
    toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    windows = toy_windows()
    first, _ = _fitted(config_of, windows, dropout=0.2)
    torch.rand(5)
    np.random.default_rng().random(5)
    second, _ = _fitted(config_of, windows, dropout=0.2)
    assert torch.equal(first.head.weight, second.head.weight)


def test_early_stopping_restores_the_best_epoch(
    toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    windows = toy_windows()
    past, later = windows.take(slice(0, 380)), windows.take(slice(380, None))
    wild = replace(QUICK, epochs=30, learning_rate=0.05, schedule="constant", patience=2)
    model = new(config_of(windows), seed=0)
    fit_scaler(model, past)
    seen: list[Epoch] = []
    history = train(model, past, later, wild, on_epoch=seen.append)
    scores = [number(epoch.validation) for epoch in history.epochs]
    assert tuple(seen) == history.epochs
    assert history.stopped_early
    assert history.best == int(np.argmin(scores)) + 1 == len(history.epochs) - 2
    assert _score(predict(model, later), later) == pytest.approx(min(scores), rel=1e-6)
    assert not model.training


def test_without_patience_every_epoch_runs_and_the_best_is_kept(
    toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    windows = toy_windows()
    past, later = windows.take(slice(0, 380)), windows.take(slice(380, None))
    config = replace(QUICK, epochs=6, learning_rate=0.05, schedule="constant")
    model, history = _fitted(config_of, past, config, validation=later)
    assert len(history.epochs) == 6
    assert not history.stopped_early
    best = min(number(epoch.validation) for epoch in history.epochs)
    assert _score(predict(model, later), later) == pytest.approx(best, rel=1e-6)


class Watched(PlainUpdates):
    """Plain updates that tell about every batch."""

    tell: Callable[[Batch], object]

    def __init__(
        self, windows: int, config: TrainingConfig, tell: Callable[[Batch], object]
    ) -> None:
        super().__init__(windows, config)
        object.__setattr__(self, "tell", tell)

    def step(self, model: Any, optimizer: Any, batch: Batch, loss: Any) -> Any:
        self.tell(batch)
        assert loss(model, batch).shape == (len(batch),)
        return super().step(model, optimizer, batch, loss)


def test_a_given_step_is_called_once_a_batch(
    toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    windows = toy_windows().take(slice(0, 100))
    model = new(config_of(windows), seed=0)
    fit_scaler(model, windows)
    sizes: list[int] = []
    config = replace(QUICK, epochs=2)
    watched = Watched(len(windows), config, lambda batch: sizes.append(len(batch)))
    train(model, windows, None, config, updates=watched)
    assert sizes == [32, 32, 32, 4] * 2
    default, _ = _fitted(config_of, windows, replace(QUICK, epochs=2))
    assert torch.equal(default.head.weight, model.get_parameter("head.weight"))


def test_every_window_is_seen_once_an_epoch_in_an_order_that_changes(
    toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    windows = toy_windows().take(slice(0, 100))
    model = new(config_of(windows), seed=0)
    epochs: list[list[float]] = [[]]

    config = replace(QUICK, epochs=2)
    watched = Watched(
        len(windows), config, lambda batch: epochs[-1].extend(batch.target[:, 0, 0].tolist())
    )
    train(model, windows, None, config, on_epoch=lambda _: epochs.append([]), updates=watched)
    want = sorted(windows.target[:, 0, 0].tolist())
    assert sorted(epochs[0]) == sorted(epochs[1]) == want
    assert epochs[0] != epochs[1]


def test_the_average_of_the_weights_is_kept(
    toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    windows = toy_windows().take(slice(0, 96))
    config = replace(QUICK, epochs=2, average=0.9)
    path: list[torch.Tensor] = []

    class Noted(PlainUpdates):
        def step(self, model: Any, optimizer: Any, batch: Batch, loss: Any) -> Any:
            mean = super().step(model, optimizer, batch, loss)
            path.append(model.head.weight.detach().clone())
            return mean

    model = new(config_of(windows), seed=0)
    fit_scaler(model, windows)
    train(model, windows, None, config, updates=Noted(len(windows), config))
    wanted = path[0]
    for weights in path[1:]:
        wanted = 0.9 * wanted + 0.1 * weights
    torch.testing.assert_close(model.get_parameter("head.weight"), wanted)


def test_a_loss_that_is_not_finite_stops_with_advice(
    toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    config = replace(QUICK, optimizer="sgd", learning_rate=1e30, grad_norm=math.inf)
    with pytest.raises(ModelError, match=r"epoch 1 is not finite; lower learning_rate=1e\+30"):
        _fitted(config_of, toy_windows(), config)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_each_optimizer_lowers_each_loss(
    toy_windows: Callable[..., Windows],
    config_of: Callable[..., ForecasterConfig],
    optimizer: str,
    loss: str,
) -> None:
    rate = 0.1 if optimizer == "sgd" else 5e-3
    config = replace(QUICK, optimizer=optimizer, learning_rate=rate, loss=loss, epochs=3)
    _, history = _fitted(config_of, toy_windows(), config)
    assert number(history.epochs[-1].loss) < 0.9 * number(history.epochs[0].loss)


def test_missing_targets_are_refused(
    toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    windows = toy_windows()
    target = windows.target.copy()
    target[7] = np.nan
    model = new(config_of(windows), seed=0)
    for train_on, watch, use in (
        (replace(windows, target=target), None, "training"),
        (windows, replace(windows, target=target), "validation"),
        (windows.take(slice(0, 0)), None, "training"),
    ):
        with pytest.raises(ModelError, match=f"window for {use}"):
            train(model, train_on, watch, QUICK)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("optimizer", "adan"),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("batch_size", 0),
        ("epochs", 0),
        ("grad_norm", 0.0),
        ("patience", 0),
        ("weight_decay", -0.1),
        ("seed", -1),
        ("device", "tpu"),
        ("loss", "rmse"),
        ("schedule", "linear"),
    ],
)
def test_invalid_settings_name_field_and_value(field: str, value: Any) -> None:
    with pytest.raises(ModelError) as error:
        TrainingConfig(**{field: value})
    assert field in str(error.value)
    assert str(value) in str(error.value)


def test_pick_device() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(ModelError, match="device='gpu' is unknown"):
        pick_device("gpu")


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_absent_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ModelError, match=f"device='{name}' is not available"):
        pick_device(name)
    assert pick_device("auto") == torch.device("cpu")
