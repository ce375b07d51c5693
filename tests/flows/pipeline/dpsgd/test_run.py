"""Trainings of a sweep that are one computation: results, charges and proofs as of single ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from data.panel import Panel
from dp.budget import BudgetRefused
from dp.ledger import Ledger
from dp.mechanisms.seed import Seed
from flows.pipeline.dpsgd import run, train
from flows.pipeline.fit import Fit, Fitted, fit, fit_together
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import Privatised
from flows.pipeline.windows import Prepared, prepare
from flows.recipe.recipe import Recipe, from_dict
from flows.settings import Home
from models import checkpoint
from models.errors import ModelError
from models.predict import predict


def recipe(mechanism: str, seed: int = 0, **training: object) -> Recipe:
    network = {"name": "gru", "hidden": 4}
    privacy = {"mechanism": mechanism, "draw": seed}
    windows = {"lags": 6, "seasonal": ["1d"], "around": 0, "seasons": 0, "test": "1d"}
    if mechanism == "gradient":
        privacy |= {"unit": "interval-1", "epsilon": 8.0, "delta": 1e-6, "noise_multiplier": 4.0}
        windows["validation"] = "0d"
    values = {"epochs": 3, "batch_size": 64, "seed": seed, "device": "cpu", **training}
    return from_dict(
        {
            "source": {"name": "synthetic", "max_count": 1000.0},
            "privacy": privacy,
            "windows": windows,
            "model": network,
            "training": values,
        }
    )


@pytest.fixture
def panel() -> Panel:
    times = pd.date_range("2024-01-01", periods=24 * 60, freq="1h", name="time")
    wave = 500 + 200 * np.sin(np.arange(len(times)) / 24 * 2 * np.pi)[:, None]
    values = np.round(wave + np.random.default_rng(2).normal(0, 20, (len(times), 2)))
    return Panel(pd.DataFrame(values, times, ["a", "b"]), "made up", public=False)


def prepared(panel: Panel, asked: Recipe) -> Prepared:
    repair = asked.privacy.mechanism != "gradient"
    return prepare(Privatised(panel, panel, Guarantee()), panel, asked.windows, repair=repair)


def job(windows: Prepared, asked: Recipe, home: Home, seen: list[int] | None = None) -> Fit:
    log = [] if seen is None else seen
    return Fit(windows, asked, Guarantee(), home, lambda number, _: log.append(number))


def test_plain_trainings_equal_single_ones(home: Home, panel: Panel) -> None:
    home.root.mkdir(parents=True, exist_ok=True)
    asked = [
        recipe("none", 0),
        recipe("none", 1, optimizer="adabelief", patience=1),
        recipe("none", 2, learning_rate=0.02),
    ]
    windows = prepared(panel, asked[0])
    seen: list[int] = []
    found = fit_together([job(windows, one, home, seen) for one in asked])
    assert seen.count(1) == 3
    for one, fitted in zip(asked, found, strict=True):
        alone = fit(windows, one, Guarantee(), home, lambda *_: None)
        assert isinstance(fitted, Fitted)
        assert fitted.history.best == alone.history.best
        mine, theirs = (predict(each.model, windows.truth) for each in (fitted, alone))
        np.testing.assert_allclose(mine, theirs, rtol=1e-4)


def test_every_private_training_is_charged_noised_and_proven(home: Home, panel: Panel) -> None:
    home.root.mkdir(parents=True, exist_ok=True)
    asked = [recipe("gradient", seed) for seed in range(3)]
    windows = prepared(panel, asked[0])
    jobs = [job(windows, one, home) for one in (*asked, asked[0])]
    found = fit_together(jobs)
    ledger = Ledger(home.database_url)
    entries = ledger.entries()
    assert [entry.state for entry in entries] == ["released"] * 3  # the fourth is the first again
    numbers = []
    for one in found:
        assert isinstance(one, Fitted)
        assert one.guarantee.proof is not None
        assert one.guarantee.proof["holds"], one.guarantee.proof
        assert one.guarantee.ledger_entry is not None
        numbers.append(one.guarantee.ledger_entry)
    assert sorted(numbers[:3]) == sorted(entry.id for entry in entries)
    assert numbers[3] == numbers[0]
    weights = [one.model.state_dict()["head.weight"] for one in found]  # type: ignore[union-attr]
    assert torch.equal(weights[3], weights[0])
    assert not torch.equal(weights[1], weights[0])
    again = fit(windows, asked[1], Guarantee(), home, lambda *_: None)
    assert torch.equal(again.model.state_dict()["head.weight"], weights[1])
    assert len(ledger.entries()) == 3  # returned, not drawn anew


def test_a_crash_on_the_way_keeps_the_charges(
    home: Home, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.root.mkdir(parents=True, exist_ok=True)
    asked = [recipe("gradient", seed) for seed in range(2)]
    windows = prepared(panel, asked[0])

    def dies(jobs: object, gradients: object) -> None:
        states = [entry.state for entry in Ledger(home.database_url).entries()]
        assert states == ["committed"] * 2  # before any noise
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(run, "train_together", dies)
        with pytest.raises(KeyboardInterrupt):
            fit_together([job(windows, one, home) for one in asked])
    assert [one.state for one in Ledger(home.database_url).entries()] == ["committed"] * 2
    fit_together([job(windows, one, home) for one in asked])
    states = [entry.state for entry in Ledger(home.database_url).entries()]
    assert states == ["committed"] * 2 + ["released"] * 2  # paid for again


class LostError(Exception):
    """The process is gone, after all noise was drawn and before anything was kept."""


def lose(jobs: list[Fit], monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> bytes:
        raise LostError

    with monkeypatch.context() as broken:
        broken.setattr(checkpoint, "packed", gone)
        with pytest.raises(LostError):
            fit_together(jobs)


def test_a_lost_training_is_the_same_again_and_charged_once(
    home: Home, panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = recipe("gradient")
    windows = prepared(panel, asked)
    undisturbed, weights = Home(tmp_path / "undisturbed"), []
    for place in (home, undisturbed):
        place.root.mkdir(parents=True, exist_ok=True)
    seeded = replace(job(windows, asked, home), seed=Seed(bytes(31) + b"\x07"))
    lose([seeded], monkeypatch)
    for one in (seeded, replace(seeded, home=undisturbed)):
        (found,) = fit_together([one])
        assert isinstance(found, Fitted)
        weights.append(found.model.state_dict()["head.weight"])
    # were it other noise, the charge of one training would have bought two
    assert torch.equal(*weights)
    assert [one.state for one in Ledger(home.database_url).entries()] == ["released"]
    (other,) = fit_together(
        [replace(seeded, home=Home(_made(tmp_path / "b")), seed=Seed(bytes(31) + b"\x08"))]
    )
    assert isinstance(other, Fitted)
    assert not torch.equal(other.model.state_dict()["head.weight"], weights[0])


def test_noise_that_no_seed_gives_is_paid_for_again(
    home: Home, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The noise of an estimated scale."""
    home.root.mkdir(parents=True, exist_ok=True)
    asked = recipe("gradient")
    privacy = replace(asked.privacy, noise_multiplier=None)
    asked = replace(asked, source=replace(asked.source, max_count=None), privacy=privacy)
    seeded = replace(job(prepared(panel, asked), asked, home), seed=Seed(bytes(31) + b"\x07"))
    lose([seeded], monkeypatch)
    fit_together([seeded])
    states = [entry.state for entry in Ledger(home.database_url).entries()]
    assert states == ["committed", "released"]


def test_secure_noise_is_accepted_and_changes_nothing(home: Home, panel: Panel) -> None:
    """Recipes of earlier versions may set it: the request is the same."""
    home.root.mkdir(parents=True, exist_ok=True)
    asked = recipe("gradient")
    secure = replace(asked, privacy=replace(asked.privacy, secure_noise=True))
    windows = prepared(panel, asked)
    first, again = (
        fit(windows, one, Guarantee(), home, lambda *_: None) for one in (asked, secure)
    )
    assert torch.equal(*(one.model.state_dict()["head.weight"] for one in (first, again)))
    assert len(Ledger(home.database_url).entries()) == 1


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_one_that_fails_keeps_its_charge_and_does_not_stop_the_others(
    home: Home, panel: Panel
) -> None:
    home.root.mkdir(parents=True, exist_ok=True)
    wild = recipe("gradient", 1, optimizer="sgd", learning_rate=1e36)
    asked = [recipe("gradient", 0), wild, recipe("gradient", 2)]
    windows = prepared(panel, asked[0])
    found = fit_together([job(windows, one, home) for one in asked])
    assert [isinstance(one, ModelError) for one in found] == [False, True, False]
    entries = Ledger(home.database_url).entries()
    assert sorted(entry.state for entry in entries) == ["committed", "released", "released"]


def test_a_cap_that_is_too_small_for_all_charges_none(home: Home, panel: Panel) -> None:
    home.root.mkdir(parents=True, exist_ok=True)
    asked = [recipe("gradient", seed) for seed in range(3)]
    windows = prepared(panel, asked[0])
    one = train.charge(windows, asked[0], home).epsilon
    capped = [
        from_dict(
            {**each.to_dict(), "privacy": {**each.to_dict()["privacy"], "cap_epsilon": 1.2 * one}}
        )
        for each in asked
    ]
    with pytest.raises(BudgetRefused):
        fit_together([job(windows, each, home) for each in capped])
    assert all(entry.state == "voided" for entry in Ledger(home.database_url).entries())


def test_closed_forms_are_solved_beside_networks(home: Home, panel: Panel, tmp_path: Path) -> None:
    home.root.mkdir(parents=True, exist_ok=True)
    network = recipe("none")
    values = network.to_dict()
    ridge = from_dict({**values, "model": {**values["model"], "name": "ridge"}})
    windows = prepared(panel, network)
    found = fit_together([job(windows, ridge, home), job(windows, network, home)])
    names = [one.model.config.model for one in found]  # type: ignore[union-attr]
    assert names == ["ridge", "gru"]
