"""What TrAct is told under gradient perturbation says nothing about the data."""

from __future__ import annotations

import pytest
import torch

from data import sources, validate
from flows.pipeline.dpsgd.public_inputs import second_moment
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import Privatised
from flows.pipeline.windows import Prepared, prepare
from flows.recipe.recipe import Recipe, from_dict
from models.forecasters import new

ASKED = from_dict({"privacy": {"mechanism": "gradient", "unit": "interval-1"}})
CITY = "synthetic:days=35,persons=600,regions=3,interval=60min"


def prepared(source: str, asked: Recipe = ASKED, times: float = 1.0) -> Prepared:
    panel, _ = validate.to_panel(sources.read(source), max_gap="1d")
    panel = panel.with_values(panel.values * times)
    return prepare(Privatised(panel, panel, Guarantee()), panel, asked.windows, repair=False)


def moment(data: Prepared, model: str = "gru") -> torch.Tensor | None:
    config = from_dict({"model": {"name": model}}).model.forecaster(
        data.learning.regions, data.spec
    )
    return second_moment(new(config, seed=0), data)


def test_it_depends_on_shape_and_interval_alone() -> None:
    first, other = prepared(CITY), prepared(f"{CITY},seed=9", times=50.0)
    found = moment(first)
    assert found is not None
    assert torch.equal(found, moment(other))  # type: ignore[arg-type]


def test_it_is_that_of_scaled_inputs() -> None:
    data = prepared(CITY)
    found = moment(data)
    assert found is not None
    regions = len(data.learning.regions)
    assert found.shape[0] == 2 * regions + data.learning.past_calendar.shape[2]
    torch.testing.assert_close(found, found.T)
    assert torch.linalg.eigvalsh(found.double())[0] > -1e-6
    # levels have unit variance and mean zero: their squares average to one
    assert found.diagonal()[:regions].tolist() == pytest.approx([1.0] * regions, rel=0.05)


def test_a_model_without_a_recurrent_layer_has_none() -> None:
    assert moment(prepared(CITY), "ridge") is None
