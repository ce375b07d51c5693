"""Runs that train as one computation end where they would end alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from data.windows import Windows
from dp.clipping import Stack
from dp.clipping.workspace import Workspace
from dp.mechanisms.randomness import Generator
from dp.mechanisms.window_sampling import WindowSampling
from dp.private import training
from dp.private.noise_proof import prove
from models import optimizers
from models.config import ForecasterConfig
from models.errors import ModelError
from models.forecaster import fit_scaler
from models.forecasters import new
from models.predict import predict
from models.registry import NETWORKS
from models.training import memory
from models.training.epochs import History
from models.training.stacked import Job, alike, chunks, train_together
from models.training.train import TrainingConfig, train

BASE = TrainingConfig(epochs=3, batch_size=32, learning_rate=5e-3, device="cpu")
PLAIN = [
    BASE,
    replace(BASE, seed=1, optimizer="adabelief", batch_size=48, average=0.9),
    replace(BASE, seed=2, optimizer="adamp", weight_decay=1e-2, schedule="constant"),
    replace(BASE, seed=3, optimizer="sgdp", learning_rate=2e-2, grad_norm=0.3),
    replace(BASE, seed=4, optimizer="diffgrad", epochs=2),
    replace(BASE, seed=5, optimizer="adamw", learning_rate=5e-2, patience=1, epochs=6),
]
DP = [
    replace(BASE, optimizer="dp-adam"),
    replace(BASE, seed=1, optimizer="dp-sgdp", grad_norm=0.2, batch_size=8),
    replace(BASE, seed=2, optimizer="dp-adamp", average=0.9),
    replace(BASE, seed=3, optimizer="dp-adabelief", schedule="constant"),
    replace(BASE, seed=4, optimizer="dp-diffgrad", learning_rate=1e-3),
    replace(BASE, seed=5, optimizer="adam", batch_size=1),  # some of its batches are empty
]


def jobs_of(
    panel_windows: Callable[[int], Windows],
    config_of: Callable[..., ForecasterConfig],
    configs: Sequence[TrainingConfig],
    name: str = "gru",
    *,
    noise: float | None = None,
    **shape: Any,
) -> list[Any]:
    """Runs on two data sets in turn; the same ones at every call."""
    found = []
    for number, config in enumerate(configs):
        windows = panel_windows(number % 2)
        past, later = windows.take(slice(0, 120)), windows.take(slice(123, 180))
        model = new(config_of(windows, model=name, **shape), seed=config.seed)
        fit_scaler(model, past)
        updates = None
        if noise is not None:
            steps = config.epochs * math.ceil(len(past) / config.batch_size)
            sampling = WindowSampling(len(past), config.batch_size, steps, 2, noise + number / 10)
            updates = training._Steps(
                sampling, config.grad_norm, Generator(number.to_bytes(32, "big"))
            )
        found.append(Job(model, past, None if updates else later, config, updates))
    return found


@pytest.fixture
def panel_windows(toy_windows: Callable[..., Windows]) -> Callable[[int], Windows]:
    whole = toy_windows()
    halves = [whole.take(slice(0, 180)), whole.take(slice(200, 380))]
    return lambda number: halves[number]


def assert_equal(jobs: Sequence[Any], alone: Sequence[Any], histories: Sequence[Any]) -> None:
    for job, one, history in zip(jobs, alone, histories, strict=True):
        wanted = train(one.model, one.train, one.validation, one.config, updates=one.updates)
        assert (history.best, history.stopped_early) == (wanted.best, wanted.stopped_early)
        assert len(history.epochs) == len(wanted.epochs)
        for mine, theirs in zip(history.epochs, wanted.epochs, strict=True):
            assert (mine.loss is None) == (one.updates is not None)  # private runs tell none
            if theirs.loss is not None:
                assert mine.loss == pytest.approx(theirs.loss, rel=1e-4)
            if theirs.validation is not None:
                assert mine.validation == pytest.approx(theirs.validation, rel=1e-4)
        for name, value in one.model.state_dict().items():
            scale = float(value.abs().max()) or 1.0
            assert float((job.model.state_dict()[name] - value).abs().max()) < 1e-4 * scale
        forecast, truth = predict(job.model, one.train), predict(one.model, one.train)
        assert abs(forecast / truth - 1).max() < 1e-4
        assert not job.model.training


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_plain_runs_equal_single_ones(
    panel_windows: Callable[[int], Windows], config_of: Callable[..., ForecasterConfig], name: str
) -> None:
    jobs, alone = (jobs_of(panel_windows, config_of, PLAIN, name) for _ in range(2))
    histories = train_together(jobs, Stack())
    assert_equal(jobs, alone, histories)
    ends = [history for history in histories if isinstance(history, History)]
    assert len({len(end.epochs) for end in ends}) > 1  # some ended before others


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_private_runs_equal_single_ones(
    panel_windows: Callable[[int], Windows], config_of: Callable[..., ForecasterConfig], name: str
) -> None:
    jobs, alone = (jobs_of(panel_windows, config_of, DP, name, noise=1.0) for _ in range(2))
    histories = train_together(jobs, Stack())
    assert 0 in jobs[-1].updates.draws.updates  # an empty batch
    assert_equal(jobs, alone, histories)


def test_layers_on_top_of_each_other(
    panel_windows: Callable[[int], Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    jobs, alone = (
        jobs_of(panel_windows, config_of, PLAIN[:3], "bilstm", layers=2) for _ in range(2)
    )
    assert_equal(jobs, alone, train_together(jobs, Stack()))


def test_each_run_has_noise_of_its_own_and_proves_it(
    panel_windows: Callable[[int], Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    config = replace(BASE, optimizer="sgd", schedule="constant", epochs=6)
    jobs = jobs_of(panel_windows, config_of, [config] * 4, noise=2.0)
    train_together(jobs, Stack())
    assert not torch.equal(
        jobs[0].model.head.weight, jobs[2].model.head.weight
    )  # only the draw differs
    for job in jobs:
        tensors = len(list(job.model.parameters()))
        proof = prove(
            job.updates.sampling, job.updates.draws, parameters=tensors, twins_differ=True
        )
        assert proof.holds, proof.checks
        assert job.updates.draws.noised == job.updates.sampling.steps * tensors


def test_gradients_that_reach_another_run_are_found_out(
    panel_windows: Callable[[int], Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    def mixed(models: Any, loss: Any, sizes: Any, clips: Any) -> Any:
        found = Stack()(models, loss, sizes, clips)
        for one, other in zip(models[0].parameters(), models[-1].parameters(), strict=True):
            one.grad, other.grad = other.grad, one.grad
        return found

    jobs, alone = (jobs_of(panel_windows, config_of, PLAIN[:2]) for _ in range(2))
    histories = train_together(jobs, mixed)
    with pytest.raises(AssertionError):
        assert_equal(jobs, alone, histories)


def test_a_run_that_diverges_ends_alone(
    panel_windows: Callable[[int], Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    wild = replace(BASE, optimizer="sgd", learning_rate=1e30, grad_norm=math.inf)
    jobs, alone = (jobs_of(panel_windows, config_of, [BASE, wild, BASE]) for _ in range(2))
    histories = train_together(jobs, Stack())
    assert isinstance(histories[1], ModelError)
    assert "learning_rate=1e+30" in str(histories[1])
    assert_equal(*([three[0], three[2]] for three in (jobs, alone, histories)))


def test_what_is_not_alike_trains_alone(
    panel_windows: Callable[[int], Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    configs = [BASE, replace(BASE, optimizer=optimizers.TRACT), replace(BASE, loss="mae")]
    jobs = jobs_of(panel_windows, config_of, configs)
    jobs += jobs_of(panel_windows, config_of, [BASE], dropout=0.2)
    jobs += jobs_of(panel_windows, config_of, [BASE], ghost=8)
    jobs += jobs_of(panel_windows, config_of, [BASE], "lstm")
    jobs += jobs_of(panel_windows, config_of, [replace(BASE, seed=7)])
    assert sorted(chunks(jobs)) == [[0, 6], [1], [2], [3], [4], [5]]
    assert [alike(job.model, job.config) is None for job in jobs[1:5]] == [True, False, True, True]
    ends = train_together(jobs, Stack())
    assert [len(end.epochs) for end in ends if isinstance(end, History)] == [3] * 7
    (again,) = jobs_of(panel_windows, config_of, [BASE], dropout=0.2)
    train(again.model, again.train, again.validation, again.config)
    assert torch.equal(again.model.head.weight, jobs[3].model.head.weight)


def test_chunks_keep_within_memory(
    panel_windows: Callable[[int], Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    jobs = jobs_of(panel_windows, config_of, [replace(BASE, seed=seed) for seed in range(7)])
    one = memory.run_bytes(jobs[0].model.config, 32 * 5 // 4 + 16, 120)
    assert [len(chunk) for chunk in chunks(jobs, memory=3 * one + 5)] == [3, 3, 1]
    assert [len(chunk) for chunk in chunks(jobs, memory=1)] == [1] * 7
    assert [len(chunk) for chunk in chunks(jobs)] == [7]
    alone = jobs_of(panel_windows, config_of, [replace(BASE, seed=seed) for seed in range(7)])
    assert_equal(jobs, alone, train_together(jobs, Stack(), memory=3 * one))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_estimate_of_memory_holds_the_buffers_of_a_pass(
    panel_windows: Callable[[int], Windows],
    config_of: Callable[..., ForecasterConfig],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spaces: list[Workspace] = []
    honest = Workspace.__init__

    def noted(self: Workspace) -> None:
        honest(self)
        spaces.append(self)

    monkeypatch.setattr(Workspace, "__init__", noted)
    monkeypatch.setattr("dp.clipping.recurrent._BLOCK", 1)  # what does not grow with the runs
    jobs = jobs_of(panel_windows, config_of, [BASE] * 4, name, hidden=32)
    train_together(jobs, Stack())
    used = sum(4 * len(buffer) for space in spaces for buffer in space._buffers.values())
    estimate = 4 * memory.run_bytes(jobs[0].model.config, 32, 120)
    assert used < estimate < 5 * used


def test_memory_that_is_free_is_found() -> None:
    assert 2**20 < memory.available(torch.device("cpu")) < 2**50
