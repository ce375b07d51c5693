"""Poisson sampling of windows, randomness, and the value that carries sampling and account."""

import json
import math

import numpy as np
import pytest
import torch

from dp.accounting.sliding_window import CellNoise
from dp.budget import Budget
from dp.mechanisms.randomness import Generator
from dp.mechanisms.window_sampling import WindowSampling, calibrate_sampling, sampling_of

SAMPLING = WindowSampling(windows=300, batch=60, steps=200, hit=5, noise_multiplier=20.0)


def test_every_window_is_drawn_independently_at_the_rate() -> None:
    seen = np.zeros((SAMPLING.steps, SAMPLING.windows))
    for step, rows in enumerate(SAMPLING.draw(Generator())):
        seen[step, rows.numpy()] = 1
    assert len(seen) == SAMPLING.steps
    q, cells = SAMPLING.rate, seen.size
    assert abs(seen.mean() - q) < 5 * math.sqrt(q * (1 - q) / cells)
    sizes = seen.sum(axis=1)
    assert sizes.std() == pytest.approx(math.sqrt(300 * q * (1 - q)), rel=0.25)
    together = (seen[:, :-1] * seen[:, 1:]).mean()  # neighbours are no more often together
    assert together == pytest.approx(q * q, abs=6 * q / math.sqrt(cells))


def test_batches_may_be_empty() -> None:
    few = WindowSampling(windows=3, batch=1, steps=100, hit=1, noise_multiplier=1.0)
    sizes = [len(rows) for rows in few.draw(Generator(bytes(32)))]
    assert 0 in sizes
    assert max(sizes) > 1


def test_a_batch_as_large_as_the_data_is_everything() -> None:
    whole = WindowSampling(windows=9, batch=9, steps=3, hit=1, noise_multiplier=1.0)
    assert [rows.tolist() for rows in whole.draw(Generator())] == [list(range(9))] * 3


def test_two_generators_never_agree() -> None:
    like = torch.empty(100)
    assert not torch.equal(Generator().normal(like, 1.0), Generator().normal(like, 1.0))
    torch.manual_seed(0)
    first = Generator().uniform(10)
    torch.manual_seed(0)
    assert not torch.equal(first, Generator().uniform(10))


def test_the_event_is_json_and_says_everything() -> None:
    for side_release in (None, CellNoise(16.0, 24)):
        sampling = WindowSampling(2688, 512, 252, 5, 23.0, side_release)
        event = json.loads(json.dumps(sampling.event()))
        assert sampling_of(event) == sampling
        assert sampling_of(event).epsilon(1e-7) == sampling.epsilon(1e-7)


def test_the_event_keeps_the_names_that_ledgers_have() -> None:
    event = WindowSampling(2688, 512, 252, 5, 23.0, CellNoise(16.0, 24)).event()
    assert event["aside"] == {"sigma": 16.0, "cells": 24}
    assert set(event) == {
        *("mechanism", "rate", "windows", "batch", "steps", "hit", "noise_multiplier", "aside")
    }


def test_epsilon_grows_by_epoch_to_the_whole() -> None:
    path = SAMPLING.epsilon_by_epoch(1e-6)
    assert len(path) == 200 / 5
    assert path == sorted(path)
    assert path[-1] == pytest.approx(SAMPLING.epsilon(1e-6), rel=1e-3)
    naive = SAMPLING.naive_epsilon_by_epoch(1e-6)
    assert naive[-1] == pytest.approx(SAMPLING.naive_epsilon(1e-6), rel=1e-6)
    assert all(one < other for one, other in zip(naive, path, strict=True))


def test_calibration_keeps_to_the_budget() -> None:
    found = calibrate_sampling(Budget(2.0, 1e-6), windows=300, batch=60, steps=200, hit=5)
    assert 1.99 < found.epsilon(1e-6) <= 2.0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"batch": 301}, ("batch_size=301", "300 training windows", "at most 300")),
        ({"batch": 0}, ("batch=0",)),
        ({"steps": 0}, ("steps=0",)),
        ({"hit": 301}, ("hit=301",)),
        ({"noise_multiplier": -1.0}, ("noise_multiplier=-1.0",)),
        ({"noise_multiplier": math.nan}, ("noise_multiplier=nan",)),
    ],
)
def test_impossible_values_are_named(changed: dict[str, float], words: tuple[str, ...]) -> None:
    values = {"windows": 300, "batch": 60, "steps": 200, "hit": 5, "noise_multiplier": 20.0}
    with pytest.raises(ValueError, match=words[0]) as refused:
        WindowSampling(**{**values, **changed})  # type: ignore[arg-type]
    for word in words:
        assert word in str(refused.value)
