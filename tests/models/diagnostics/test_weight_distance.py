"""The distance of the weights from the first ones, and its line against log t."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from models.diagnostics.weight_distance import PER_DECADE, WeightDistance, fit_log
from models.errors import ModelError


def test_each_distance_is_the_norm_over_all_parameters() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 3), nn.GRU(3, 2)).double()
    first = torch.cat([p.detach().flatten().clone() for p in net.parameters()])
    distance, expected = WeightDistance(net.parameters()), []
    for _ in range(12):
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(torch.randn_like(parameter))
        distance()
        now = torch.cat([p.detach().flatten() for p in net.parameters()])
        expected.append(float((now - first).norm()))
    curve = distance.curve()
    assert curve.updates == tuple(range(1, 13))
    assert curve.distances == pytest.approx(expected, rel=1e-12)


def test_updates_are_measured_evenly_in_the_logarithm() -> None:
    weight = nn.Parameter(torch.zeros(1))
    distance = WeightDistance([weight])
    for step in range(1, 10_001):
        weight.data.fill_(step)
        distance()
    curve = distance.curve()
    assert curve.distances == tuple(float(step) for step in curve.updates)
    late = [step for step in curve.updates if 1_000 < step <= 10_000]
    assert len(late) == pytest.approx(PER_DECADE, abs=2)
    ratios = np.diff(np.log10(late))
    assert ratios.max() == pytest.approx(ratios.min(), rel=0.03)
    assert len(curve.updates) < 4 * PER_DECADE


def test_nothing_waits_for_the_device_before_the_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("item", "tolist", "__float__", "__bool__", "cpu", "numpy"):
        honest = getattr(torch.Tensor, name)

        def spy(
            self: torch.Tensor,
            *rest: Any,
            _name: str = name,
            _honest: Callable[..., Any] = honest,
            **named: Any,
        ) -> Any:
            calls.append(_name)
            return _honest(self, *rest, **named)

        monkeypatch.setattr(torch.Tensor, name, spy)
    weight = nn.Parameter(torch.ones(3))
    distance = WeightDistance([weight])
    for _ in range(50):
        distance()
    assert calls == []
    distance.curve()
    assert calls == ["tolist"]


def test_the_first_weights_are_a_copy_and_small_moves_are_seen_in_half_precision() -> None:
    weight = nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
    distance = WeightDistance([weight])
    with torch.no_grad():
        weight.add_(2**-7)
    distance()
    assert distance.curve().distances == pytest.approx((2 * 2**-7,), rel=1e-6)


def test_no_updates_yet_make_an_empty_curve() -> None:
    curve = WeightDistance([nn.Parameter(torch.ones(1))]).curve()
    assert (curve.updates, curve.distances) == ((), ())
    with pytest.raises(ModelError, match="no parameters to measure"):
        WeightDistance([])


@given(
    slope=st.floats(-5, 5),
    intercept=st.floats(-10, 10),
    updates=st.lists(st.integers(1, 10**6), min_size=3, max_size=60, unique=True),
)
def test_the_line_of_made_up_logarithms_is_found(
    slope: float, intercept: float, updates: list[int]
) -> None:
    logs = [math.log(step) for step in updates]
    fit = fit_log(updates, [intercept + slope * log for log in logs])
    unit = 1 + abs(intercept) + 14 * abs(slope)
    conditioned = 1e-12 * unit / float(np.std(logs))  # close updates say little about a slope
    assert fit.slope == pytest.approx(slope, abs=conditioned)
    assert fit.intercept == pytest.approx(intercept, abs=1e-12 * unit + 14 * conditioned)
    assert fit.points == len(updates)


def test_a_noisy_line_is_fitted_like_numpy_does() -> None:
    draw = np.random.default_rng(0)
    updates = np.arange(1, 400)
    distances = 0.4 + 0.7 * np.log(updates) + draw.normal(0, 0.3, len(updates))
    fit = fit_log(updates.tolist(), distances.tolist())
    slope, intercept = np.polyfit(np.log(updates), distances, 1)
    r2 = np.corrcoef(np.log(updates), distances)[0, 1] ** 2
    assert (fit.slope, fit.intercept, fit.r2) == pytest.approx((slope, intercept, r2), rel=1e-10)
    assert fit.points == 399
    assert 0.6 < fit.slope < 0.8


def test_r2_tells_a_logarithm_from_a_square_root() -> None:
    updates = range(1, 2_000)
    grown = fit_log(updates, [math.log(step) for step in updates]).r2
    spread = fit_log(updates, [math.sqrt(step) for step in updates]).r2
    assert grown == pytest.approx(1, abs=1e-12)
    assert spread is not None
    assert spread < 0.9


def test_what_never_moves_has_no_share_explained() -> None:
    fit = fit_log([1, 2, 3], [0.1, 0.1, 0.1])
    assert (fit.slope, fit.intercept) == pytest.approx((0, 0.1), abs=1e-15)
    assert (fit.r2, fit.points) == (None, 3)


def test_plain_noise_walks_as_the_root_of_t() -> None:
    """A walk without a landscape is no logarithm: the curve can tell."""
    torch.manual_seed(1)
    weight = nn.Parameter(torch.zeros(2_000))
    distance = WeightDistance([weight])
    for _ in range(1_000):
        weight.data.add_(torch.randn(2_000))
        distance()
    curve = distance.curve()
    expected = [math.sqrt(2_000 * step) for step in curve.updates]
    assert curve.distances == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(
    ("updates", "distances", "message"),
    [
        ([1, 2], [0.1], "2 updates and 1 distances must be as many"),
        ([4, 4], [0.1, 0.2], "1 different updates are too few"),
        ([], [], "0 different updates are too few"),
        ([0, 1], [0.0, 0.1], "updates=0 must be at least 1"),
        ([1, 2], [0.1, math.nan], "a distance is not finite"),
    ],
)
def test_what_cannot_be_fitted(updates: list[Any], distances: list[Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        fit_log(updates, distances)
