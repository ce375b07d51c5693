"""Comparing forecasters costs nothing under noise, and never looks at the test week."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from data import sources, validate
from dp.ledger import Ledger
from flows.cli.app import app
from flows.compare.backtest import Folds, compare
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import Privatised, privatise
from flows.pipeline.windows import prepare
from flows.recipe.recipe import from_dict
from flows.settings import Home


def veilcast(*arguments: object):  # type: ignore[no-untyped-def]
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.mark.slow
def test_forecasters_side_by_side_for_one_charge(home: Home) -> None:
    asked = [
        "backtest",
        "demo",
        "--model",
        "ridge,gru",
        "--folds",
        2,
        "--seeds",
        2,
        "--json",
        "--set",
        "training.epochs=1",
    ]
    first, again = (json.loads(veilcast(*asked).stdout) for _ in range(2))
    assert first["rows"] == again["rows"]
    assert [row["model"] for row in first["rows"]] == ["ridge", "gru"]
    assert len(Ledger(home.database_url).entries("synthetic")) == 1
    ridge, gru = first["rows"]
    assert ridge["rmse"]["sd"] == 0  # closed form
    assert gru["rmse"]["sd"] > 0
    assert ridge["coverage 0.9"]["mean"] == pytest.approx(0.9, abs=0.05)
    assert (first["unit"], first["epsilon"]) == ("user-day", pytest.approx(1.0, rel=1e-3))
    shown = veilcast(*[one for one in asked if one != "--json"]).stdout
    assert "2 × 7d before the test period" in shown
    assert "delta 1e-07" in shown


def test_the_noise_is_taken_off_the_error(home: Home) -> None:
    """Error against noised counts less their variance is the error against the true ones."""
    panel, _ = validate.to_panel(sources.read("synthetic"), max_gap="1d")
    recipe = from_dict({"model": {"name": "ridge"}, "windows": {"validation": "0d"}})
    sigma = 15.0
    noised = panel.with_values(
        panel.values + np.random.default_rng(0).normal(size=panel.values.shape) * sigma
    )
    private = prepare(Privatised(noised, noised, Guarantee()), panel, recipe.windows)
    truth = prepare(Privatised(noised, panel, Guarantee()), panel, recipe.windows)
    folds = Folds(count=2)
    free = compare(private, recipe, folds, sigma)["rmse"]["mean"]
    # the same inputs against true targets, learned from true targets
    true = compare(truth, recipe, folds, 0.0)["rmse"]["mean"]
    assert free == pytest.approx(true, rel=0.1)
    assert compare(private, recipe, folds, 0.0)["rmse"]["mean"] > 1.15 * free


def test_an_offset_is_not_taken_off_the_error(home: Home) -> None:
    """Forecasts hold the offset of the counts that they are made from, so that errors do not."""
    home.root.mkdir()
    panel, _ = validate.to_panel(sources.read("synthetic"), max_gap="1d")
    asked = {"unit": "user", "epsilon": 1.0, "delta": 1e-6}
    recipe = from_dict({"source": {"regions_ever": 1, "regions_per_interval": 1}, "privacy": asked})
    panel = replace(panel, regions_ever=1, regions_per_interval=1)
    guarantee = privatise(panel, recipe, home).guarantee
    event = Ledger(home.database_url).entries()[0].event
    assert event["offset"] > 0
    assert guarantee.sigma_unshared == event["sigma"]
    assert guarantee.sigma == pytest.approx(np.hypot(event["sigma"], event["offset"]))


def test_each_training_under_gradient_would_be_charged(home: Home) -> None:
    result = veilcast("backtest", "gradient", "--source", "synthetic", "--folds", 3)
    assert result.exit_code == 2
    assert "each of 3 trainings would be charged" in " ".join(result.output.split())


def test_too_short_a_series_and_unknown_names_are_told(home: Home) -> None:
    short = veilcast("backtest", "demo", "--model", "ridge", "--folds", 12)
    assert short.exit_code == 1
    assert "fewer or shorter folds" in " ".join(short.output.split())
    assert veilcast("backtest", "demo", "--model", "ridge,oak").exit_code == 2
    assert len(Ledger(home.database_url).entries("synthetic")) == 1  # of the short one
