"""Scaling rules keep the noise of an update; regime adaptation keeps the number of updates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from dp.budget import Budget
from dp.mechanisms.randomness import Generator
from dp.mechanisms.window_sampling import WindowSampling, calibrate_sampling
from dp.private.training import _Steps
from models import optimizers
from models.errors import ModelError
from models.training import batch_scaling
from models.training.config import TrainingConfig
from models.training.train import PlainUpdates

sizes = st.integers(1, 10_000)
rates = st.floats(1e-6, 10.0)
noises = st.floats(1e-3, 1e3)


# What the rules keep


@given(rate=rates, base=sizes, batch=sizes)
def test_sqrt_keeps_the_covariance_of_sampling_noise(rate: float, base: int, batch: int) -> None:
    scaled = batch_scaling.scaled_rate(rate, batch=batch, base=base, rule="sqrt")
    assert scaled**2 / batch == pytest.approx(rate**2 / base, rel=1e-12)


@given(rate=rates, base=sizes, batch=sizes, noise=noises, clip=noises)
def test_linear_keeps_the_covariance_of_dp_noise_at_fixed_sigma(
    rate: float, base: int, batch: int, noise: float, clip: float
) -> None:
    scaled = batch_scaling.scaled_rate(rate, batch=batch, base=base, rule="linear")
    before = (rate * noise * clip / base) ** 2
    assert (scaled * noise * clip / batch) ** 2 == pytest.approx(before, rel=1e-12)


@given(rate=rates, base=sizes, batch=sizes, base_noise=noises, noise=noises)
def test_the_noise_rule_keeps_it_at_any_sigma(
    rate: float, base: int, batch: int, base_noise: float, noise: float
) -> None:
    scaled = batch_scaling.noise_rate(
        rate, batch=batch, noise=noise, base=base, base_noise=base_noise
    )
    assert scaled * noise / batch == pytest.approx(rate * base_noise / base, rel=1e-12)
    same = batch_scaling.noise_rate(rate, batch=batch, noise=noise, base=base, base_noise=noise)
    linear = batch_scaling.scaled_rate(rate, batch=batch, base=base, rule="linear")
    assert same == pytest.approx(linear, rel=1e-12)


@given(rate=rates, base=sizes, batch=sizes, rule=st.sampled_from(batch_scaling.RULES))
def test_there_and_back_changes_nothing(rate: float, base: int, batch: int, rule: str) -> None:
    there = batch_scaling.scaled_rate(rate, batch=batch, base=base, rule=rule)
    back = batch_scaling.scaled_rate(there, batch=base, base=batch, rule=rule)
    assert back == pytest.approx(rate, rel=1e-12)
    assert batch_scaling.scaled_rate(rate, batch=base, base=base, rule=rule) == rate


def test_sampling_noise_of_real_batches_is_kept_by_sqrt() -> None:
    """Steps of SGD on drawn windows, not the formula again."""
    draw = torch.Generator().manual_seed(0)
    gradients = torch.randn(1_000, generator=draw, dtype=torch.float64).exp()

    def deviation(rate: float, batch: int) -> float:
        rows = torch.randint(1_000, (20_000, batch), generator=draw)
        return float((rate * gradients[rows].mean(dim=1)).std())

    base = deviation(0.1, 16)
    found = {
        rule: deviation(batch_scaling.scaled_rate(0.1, batch=256, base=16, rule=rule), 256) / base
        for rule in batch_scaling.RULES
    }
    assert found == pytest.approx({"none": 1 / 4, "sqrt": 1, "linear": 4}, rel=0.04)


def private_noise(optimizer: str, rate: float, batch: int, *, steps: int = 100) -> float:
    """How much private steps move weights whose gradients are all zero: by DP noise alone."""
    torch.manual_seed(0)
    net = nn.Linear(30, 20)
    training = _Steps(WindowSampling(1_000, batch, steps, 1, 3.0), 0.5, Generator(bytes(32)))
    public = optimizers.Public(noise_variance=training.noise_variance)
    built = optimizers.build(optimizer, net, rate, public=public)
    rows, total = torch.zeros(2, 30), 0.0

    def loss(net: nn.Module, rows: Tensor) -> Tensor:
        return 0.0 * net(rows).sum(dim=1)

    for _ in range(steps):
        before = net.weight.detach().clone()
        training.step(net, built, rows, loss)
        total += float((net.weight.detach() - before).square().mean())
    return math.sqrt(total / steps)


@pytest.mark.parametrize("optimizer", ["sgd", "dp-sgdp", "adam", "adabelief", "dp-adam"])
def test_dp_noise_of_private_steps_is_kept_by_the_rule_that_suits(optimizer: str) -> None:
    base = private_noise(optimizer, 0.01, 16)
    advice = batch_scaling.rule_for(optimizer, "gradient")
    kept = batch_scaling.scaled_rate(0.01, batch=256, base=16, rule=advice.rule)
    assert private_noise(optimizer, kept, 256) == pytest.approx(base, rel=0.02)
    other = {"none": "linear", "linear": "none"}[advice.rule]
    wrong = batch_scaling.scaled_rate(0.01, batch=256, base=16, rule=other)
    assert not 1 / 10 < private_noise(optimizer, wrong, 256) / base < 10


def test_at_fixed_epsilon_and_updates_the_noise_of_a_large_batch_stays() -> None:
    """σ grows with B once it is large: then there is nothing for a learning rate to follow."""
    sigmas = {
        batch: calibrate_sampling(
            Budget(1.0, 1e-7), windows=3_000, batch=batch, steps=100, hit=5
        ).noise_multiplier
        for batch in (64, 512, 1_024)
    }
    assert sigmas[1_024] / 1_024 == pytest.approx(sigmas[512] / 512, rel=0.05)
    rate = batch_scaling.noise_rate(
        0.1, batch=1_024, noise=sigmas[1_024], base=512, base_noise=sigmas[512]
    )
    assert rate == pytest.approx(0.1, rel=0.05)


# Which rule suits


def test_the_rule_depends_on_optimizer_and_mechanism() -> None:
    found = {
        (optimizer, mechanism): batch_scaling.rule_for(optimizer, mechanism).rule
        for optimizer in (*optimizers.FIRST_ORDER, optimizers.TRACT)
        for mechanism in ("none", "input", "gradient")
    }
    assert {rule for (_, mechanism), rule in found.items() if mechanism != "gradient"} == {"sqrt"}
    assert found["sgd", "gradient"] == found["sgdp", "gradient"] == "linear"
    assert found["adam", "gradient"] == found["adabelief", "gradient"] == "none"
    private = {
        name: batch_scaling.rule_for(name, "gradient").rule for name in optimizers.NOISE_AWARE
    }
    assert [name for name, rule in private.items() if rule == "linear"] == ["dp-sgdp"]
    assert "by itself" in batch_scaling.rule_for("adam", "gradient").reason


# Regime adaptation


@given(epochs=st.integers(1, 50), windows=sizes, base=st.integers(1, 500), times=st.integers(1, 30))
def test_a_multiple_of_the_batch_keeps_the_updates_to_each_epochs_rounding(
    epochs: int, windows: int, base: int, times: int
) -> None:
    batch = base * times
    longer = epochs * batch_scaling.stretch(batch, base)
    before = batch_scaling.updates_of(epochs, windows=windows, batch=base)
    after = batch_scaling.updates_of(longer, windows=windows, batch=batch)
    # the last batch of an epoch is smaller and still an update: less than one in each epoch
    assert 0 <= after - before < longer


@given(epochs=st.integers(1, 50), windows=sizes, base=st.integers(1, 500), more=sizes)
def test_any_larger_batch_never_has_fewer_updates(
    epochs: int, windows: int, base: int, more: int
) -> None:
    batch = base + more
    longer = epochs * batch_scaling.stretch(batch, base)
    before = batch_scaling.updates_of(epochs, windows=windows, batch=base)
    after = batch_scaling.updates_of(longer, windows=windows, batch=batch)
    assert before <= after < 2 * epochs * windows / base + longer


@given(updates=st.integers(1, 100_000), windows=sizes, batch=sizes)
def test_epochs_for_a_number_of_updates_are_the_fewest(
    updates: int, windows: int, batch: int
) -> None:
    epochs = batch_scaling.epochs_for(updates, windows=windows, batch=batch)
    each = batch_scaling.updates_of(1, windows=windows, batch=batch)
    made = batch_scaling.updates_of(epochs, windows=windows, batch=batch)
    assert updates <= made < updates + each


@given(windows=st.integers(1, 300), batch=st.integers(1, 300), epochs=st.integers(1, 4))
def test_updates_are_those_of_the_training_loop(windows: int, batch: int, epochs: int) -> None:
    config = TrainingConfig(batch_size=batch, epochs=epochs)
    made = sum(1 for _ in PlainUpdates(windows, config).batches())
    assert batch_scaling.updates_of(epochs, windows=windows, batch=batch) == made


def test_a_regime_is_adapted_as_a_whole() -> None:
    small = TrainingConfig(
        optimizer="sgd", learning_rate=0.1, batch_size=128, epochs=10, patience=3, average=0.9
    )
    large = batch_scaling.adapted(small, 2_048, rule="sqrt")
    assert large == replace(small, batch_size=2_048, learning_rate=0.4, epochs=160, patience=48)
    assert batch_scaling.adapted(replace(small, patience=None), 256, rule="none").patience is None
    for rule in batch_scaling.RULES:
        assert batch_scaling.adapted(small, 128, rule=rule) == small


def test_the_schedule_falls_at_the_same_update() -> None:
    """A cosine follows the share of updates done: drops move with the number of epochs."""
    small = TrainingConfig(batch_size=100, epochs=6)
    large = batch_scaling.adapted(small, 400, rule="none")
    windows = 2_000
    totals = [
        PlainUpdates(windows, config).steps_per_epoch * config.epochs for config in (small, large)
    ]
    assert totals[0] == totals[1]


# Refusals


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: batch_scaling.scaled_rate(0.1, batch=2, base=1, rule="cubic"),
            "rule='cubic' is unknown here; choose one of none, sqrt, linear",
        ),
        (
            lambda: batch_scaling.scaled_rate(-1, batch=2, base=1, rule="sqrt"),
            "rate=-1 must be above 0",
        ),
        (
            lambda: batch_scaling.scaled_rate(math.nan, batch=2, base=1, rule="sqrt"),
            "rate=nan must be above 0",
        ),
        (
            lambda: batch_scaling.scaled_rate(0.1, batch=0, base=1, rule="sqrt"),
            "batch=0 must be at least",
        ),
        (
            lambda: batch_scaling.scaled_rate(0.1, batch=1, base=0, rule="none"),
            "base=0 must be at least",
        ),
        (
            lambda: batch_scaling.noise_rate(0.1, batch=2, noise=0.0, base=1, base_noise=1.0),
            "noise=0.0 must be above 0",
        ),
        (
            lambda: batch_scaling.noise_rate(0.1, batch=2, noise=1.0, base=1, base_noise=math.inf),
            "base_noise=inf must be above 0 and finite",
        ),
        (lambda: batch_scaling.stretch(32, 64), "batch=32 is smaller than base=64"),
        (lambda: batch_scaling.stretch(64, 0), "base=0 must be at least 1"),
        (lambda: batch_scaling.epochs_for(0, windows=10, batch=5), "updates=0 must be at least 1"),
        (lambda: batch_scaling.epochs_for(5, windows=0, batch=5), "windows=0 must be at least 1"),
        (
            lambda: batch_scaling.adapted(TrainingConfig(), 32, rule="sqrt"),
            "is smaller than base=64",
        ),
        (
            lambda: batch_scaling.rule_for("gns", "none"),
            "optimizer='gns' is unknown here; choose one of sgd",
        ),
        (
            lambda: batch_scaling.rule_for("adam", "noise"),
            "mechanism='noise' is unknown here; choose one of none, input",
        ),
    ],
)
def test_what_is_out_of_range_is_named(call: Callable[..., Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        call()
