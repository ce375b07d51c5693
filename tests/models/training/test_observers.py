"""Observers: called after every update, their results in the history, the training unchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from data.windows import Windows
from dp.clipping import Stack
from models.config import ForecasterConfig
from models.diagnostics.weight_distance import LogFit, WeightDistance
from models.errors import ModelError
from models.forecaster import Forecaster, fit_scaler
from models.forecasters import fit, new
from models.training.config import TrainingConfig
from models.training.stacked import Job, train_together
from models.training.train import train

CONFIG = TrainingConfig(epochs=2, batch_size=64, device="cpu")


class Updates:
    """Counts updates, and reads the weights after each."""

    name = "updates"

    def __init__(self, model: Forecaster) -> None:
        self.model, self.sums = model, [_sum(model)]

    def __call__(self) -> None:
        self.sums.append(_sum(self.model))

    def result(self) -> dict[str, int] | None:
        return {"updates": len(self.sums) - 1, "different": len(set(self.sums))}


class Silent(Updates):
    name = "silent"

    def result(self) -> None:
        return None


def _sum(model: Forecaster) -> float:
    return sum(float(parameter.detach().sum()) for parameter in model.parameters())


def _untrained(
    config_of: Callable[..., ForecasterConfig], windows: Windows, seed: int = 0, **settings: Any
) -> Forecaster:
    model = new(config_of(windows, **settings), seed)
    fit_scaler(model, windows)
    return model


def test_observers_are_called_after_every_update(
    toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    windows = toy_windows()
    steps = 2 * -(-len(windows) // 64)
    model = _untrained(config_of, windows)
    history = train(model, windows, None, CONFIG, observers=(Updates, Silent, WeightDistance.of))
    assert set(history.observed) == {"updates", "weight_distance"}
    assert history.observed["updates"] == {"updates": steps, "different": steps + 1}
    assert isinstance(history.observed["weight_distance"], LogFit)


def test_training_is_the_same_unobserved(
    toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    windows = toy_windows()
    observed, alone = (_untrained(config_of, windows) for _ in range(2))
    train(observed, windows, None, CONFIG, observers=(Updates, WeightDistance.of))
    assert train(alone, windows, None, CONFIG).observed == {}
    weights = alone.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in observed.state_dict().items())


def test_runs_that_train_together_are_observed_each(
    toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    windows = toy_windows()
    models = [_untrained(config_of, windows, seed) for seed in range(2)]
    jobs = [
        Job(model, windows, None, replace(CONFIG, epochs=epochs), observers=(Updates,))
        for epochs, model in enumerate(models, 1)
    ]
    steps = -(-len(windows) // 64)
    for epochs, history in enumerate(train_together(jobs, Stack()), 1):
        assert not isinstance(history, ModelError)
        count = epochs * steps
        assert history.observed["updates"] == {"updates": count, "different": count + 1}


@pytest.mark.parametrize(("name", "observed"), [("gru", {"updates"}), ("ridge", set())])
def test_closed_forms_have_no_updates_to_observe(
    toy_windows: Callable[..., Windows],
    config_of: Callable[..., ForecasterConfig],
    name: str,
    observed: set[str],
) -> None:
    windows = toy_windows()
    model = new(config_of(windows, model=name), seed=0)
    assert set(fit(model, windows, None, CONFIG, observers=(Updates,)).observed) == observed


def test_two_observers_of_one_name_are_refused(
    toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    windows = toy_windows()
    with pytest.raises(ModelError, match=r"\['updates', 'updates'\] must have different names"):
        train(_untrained(config_of, windows), windows, None, CONFIG, observers=(Updates, Updates))
