"""A search costs one charge, goes on where it stopped, and never looks at the test week."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dp.ledger import Ledger
from flows.cli.app import app
from flows.compare import tune
from flows.recipe.load import load
from flows.recipe.recipe import from_dict
from flows.settings import Home


def veilcast(*arguments: object):  # type: ignore[no-untyped-def]
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.mark.slow
def test_a_search_for_one_charge_that_goes_on(home: Home) -> None:
    asked = ["tune", "demo", "--model", "ridge", "--folds", 1, "--json"]
    first = json.loads(veilcast(*asked, "--trials", 3).stdout)
    more = json.loads(veilcast(*asked, "--trials", 5).stdout)
    assert (first["trials"], more["trials"]) == (3, 5)
    assert len(Ledger(home.database_url).entries("synthetic")) == 1
    assert more["before"] == first["before"]
    kept = from_dict(load(more["recipe"]))
    assert kept.privacy == from_dict(load("demo")).privacy
    if more["settings"]:
        assert more["best"]["mean"] < more["before"]["mean"]
        assert kept.windows.lags == more["settings"]["windows.lags"]
    shown = veilcast(*asked[:-1], "--trials", 5).stdout
    assert "5 trials" in shown
    assert str(Path(more["recipe"])) in shown.replace("\n", "")


def test_only_what_a_model_has_is_tried() -> None:
    def space(name: str, **settings: object) -> set[str]:
        return set(tune._space(from_dict({"model": {"name": name, **settings}})))

    assert "training.learning_rate" not in space("trees")
    assert "training.learning_rate" in space("gru")
    assert "model.hidden" in space("blend", members=["ridge", "gru"])
    own = from_dict({"model": {"name": "ridge"}, "windows": {"lags": 7}})
    assert 7 in tune._space(own)["windows.lags"]


def test_tuning_under_gradient_is_refused(home: Home) -> None:
    result = veilcast("tune", "gradient", "--source", "synthetic", "--trials", 4)
    assert result.exit_code == 2
    assert "would be charged" in " ".join(result.output.split())
