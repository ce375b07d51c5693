from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from models.errors import ModelError
from models.metrics import mae, rmse

RNG = np.random.default_rng(0)
FORECAST, TARGET = RNG.normal(100, 10, (50, 3, 2)), RNG.normal(100, 30, (50, 3, 2))


@pytest.mark.parametrize(
    ("metric", "oracle"), [(rmse, root_mean_squared_error), (mae, mean_absolute_error)]
)
def test_agrees_with_scikit_learn(metric: Callable[..., Any], oracle: Callable[..., Any]) -> None:
    got = metric(FORECAST, TARGET, ["a", "b"])
    want = oracle(TARGET.reshape(-1, 2), FORECAST.reshape(-1, 2), multioutput="raw_values")
    assert list(got.regions) == ["a", "b"]
    np.testing.assert_allclose(list(got.regions.values()), want, rtol=1e-12)
    assert got.mean == pytest.approx(want.mean(), rel=1e-12)


def test_a_gap_is_refused_and_no_value_is_quoted() -> None:
    target = TARGET.copy()
    target[3, 0, 1] = np.nan
    with pytest.raises(ModelError, match="missing or infinite"):
        rmse(FORECAST, target, ["a", "b"])


@pytest.mark.parametrize(
    ("forecast", "target", "regions"),
    [
        (FORECAST, TARGET[:, :1], ["a", "b"]),  # would broadcast
        (FORECAST, TARGET, ["a"]),
        (FORECAST[:, 0], TARGET[:, 0], ["a", "b"]),
        (FORECAST[:0], TARGET[:0], ["a", "b"]),
    ],
)
def test_shapes_must_agree(forecast: np.ndarray, target: np.ndarray, regions: list[Any]) -> None:
    with pytest.raises(ModelError):
        mae(forecast, target, regions)
