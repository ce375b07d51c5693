"""Every optimizer trains what it may train, and is refused elsewhere with the reason."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from flows.settings import Home
from models import optimizers
from models.registry import HEADS

CITY = "synthetic:days=35,persons=600,regions=3,interval=60min"
SMALL = ["--set", "training.epochs=1", "--set", "model.hidden=4", "--set", "windows.lags=4"]


def train(*arguments: object):  # type: ignore[no-untyped-def]
    return CliRunner().invoke(app, ["train", "--source", CITY, *map(str, arguments), "--json"])


@pytest.mark.slow  # all of them together
@pytest.mark.parametrize("name", [*optimizers.FIRST_ORDER, "tract"])
def test_networks_on_noised_counts(home: Home, name: str) -> None:
    result = train("--model", "gru", "--optimizer", name, "--unit", "user-day", *SMALL)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["optimizer"] == name


@pytest.mark.slow  # all of them together
@pytest.mark.parametrize("name", [*optimizers.FIRST_ORDER, *optimizers.NOISE_AWARE, "tract"])
def test_networks_by_gradient_perturbation(home: Home, name: str) -> None:
    result = train(
        "--model",
        "gru",
        "--optimizer",
        name,
        "--mechanism",
        "gradient",
        "--unit",
        "interval-1",
        "--epsilon",
        8,
        "--set",
        "source.max_count=600",
        "--set",
        "training.batch_size=128",
        "--set",
        "training.epochs=1",
    )
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["optimizer"] == name
    assert document["proof"]["holds"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "name"), [(model, name) for model, names in HEADS.items() for name in names]
)
def test_heads_by_their_solvers(home: Home, model: str, name: str) -> None:
    result = train("--model", model, "--optimizer", name, "--unit", "user-day", *SMALL)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["optimizer"] == name
    assert document["rmse"]["mean"] < document["baselines"]["persistence"]["rmse"]["mean"]


def test_a_head_has_a_solver_of_its_own_and_a_closed_form_none(home: Home) -> None:
    head = json.loads(train("--model", "poisson", "--mechanism", "none", *SMALL).stdout)
    assert head["optimizer"] == "gns"
    closed = json.loads(train("--model", "ridge", "--mechanism", "none", *SMALL).stdout)
    assert closed["optimizer"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "gru", "--optimizer", "dp-adam"], "takes the noise of mechanism=gradient out"),
        (["--model", "gru", "--optimizer", "gns"], "solves the heads of poisson and negbin"),
        (
            ["--model", "gru", "--optimizer", "prox_cg", "--mechanism", "gradient"],
            "reads the loss",
        ),
        (["--model", "sparse", "--optimizer", "adam"], "solved by prox_cg or accelerated"),
        (["--model", "sparse", "--optimizer", "gns"], "choose one of prox_cg, accelerated"),
        (["--model", "gru", "--optimizer", "adabelif"], "did you mean 'adabelief'"),
        (["--model", "poisson", "--mechanism", "gradient"], "cannot be trained by gradient"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(
    home: Home, arguments: list[str], said: str
) -> None:
    result = train(*arguments)
    assert result.exit_code in (1, 2), result.output
    assert said in " ".join(result.output.split())
