"""The paper's facts, its accounts set right, and the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from data import sources, validate
from data.panel import Panel
from dp.ledger import Ledger
from dp.private import training as private
from flows.arcolezi import accounts, honest, protocol, published, report, study
from flows.arcolezi.study import Effort
from flows.cli.app import app
from flows.runtime.result_cache import ResultCache
from flows.settings import Home, open_home


@pytest.fixture(scope="module")
def panel() -> Panel:
    return validate.to_panel(sources.read("paris-cdr"), max_gap="1d")[0]


def test_the_papers_facts_are_whole() -> None:
    assert (
        len(published.nonprivate()) == len(published.gradient()) == len(published.perturbed()) == 4
    )
    assert published.reported("BiGRU")["mean"] == 1214.3
    for setting in [*published.nonprivate(), *published.gradient(), *published.perturbed()]:
        found = published.reported(setting.name)
        regions = [found[name] for name in published.REGIONS]
        assert np.mean(regions) == pytest.approx(found["mean"], abs=0.11)


def test_input_perturbation_costs_what_the_design_says() -> None:
    third = accounts.of_counts(published.perturbed()[2])
    assert third["claimed"] == 0.0357
    assert third["sigma"] == pytest.approx(160.0, abs=0.2)
    assert third["user-interval"] == pytest.approx(0.0238, abs=1e-4)
    assert third["user, one region"] == pytest.approx(1.783, abs=3e-3)
    assert third["user, two regions"] == pytest.approx(2.594, abs=3e-3)


def test_an_interval_costs_more_than_a_window() -> None:
    row = accounts.of_training(published.gradient()[3])
    assert row["one window"] < row["claimed"] < row["interval-1"] < row["user"]


def test_the_papers_windows(panel: Panel) -> None:
    inputs, targets = protocol.windows(panel, protocol.observed(panel))
    assert inputs.shape == (accounts.INTERVALS - 6, 6, 10)
    assert len(inputs) - published.TEST == accounts.WINDOWS
    np.testing.assert_allclose(inputs[10, -1, :6], targets[9])
    features = protocol.time_features(panel.times[:49])
    np.testing.assert_allclose(
        features[0], features[48] * [1, 1, 0, 0] + features[0] * [0, 0, 1, 1], atol=1e-9
    )


def test_persistence_is_the_papers_baseline(panel: Panel) -> None:
    found = protocol.persistence(panel)
    assert found["RMSE"]["mean"] == pytest.approx(1503.6, abs=0.1)
    assert found["MAE"]["mean"] == pytest.approx(1107.1, abs=0.1)


def test_folds_never_see_the_test_week(
    panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same choice with the test week's counts changed beyond recognition."""
    monkeypatch.setenv("VEILCAST_HOME", str(tmp_path))
    asked = honest.recipe(honest.Privacy(), "ridge", 0, None)
    changed = panel.values.copy()
    changed[-336:] *= 7
    scores = [
        honest.on_folds(honest.windows_of(one, asked, open_home())[0], asked, 0.0, 2)
        for one in (panel, panel.with_values(changed))
    ]
    assert scores[0] == scores[1]


def test_a_piece_is_done_once(tmp_path: Path) -> None:
    calls = []

    def piece(number: int) -> dict[str, int]:
        calls.append(number)
        return {"twice": 2 * number}

    for keep in (ResultCache(tmp_path, b"key"), ResultCache(tmp_path, b"key")):
        assert [keep(piece, number=n) for n in (1, 2)] == [{"twice": 2}, {"twice": 4}]
    assert calls == [1, 2]


def test_a_training_without_noise_promises_nothing(
    panel: Panel, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(self) -> None:  # type: ignore[no-untyped-def]
        for parameter in self.params:
            parameter.grad = parameter.summed_grad

    monkeypatch.setattr(private._NoisedOptimizer, "add_noise", without)
    last = published.gradient()[3]
    small = type(last)(**{**vars(last), "hidden": 4, "batch_size": 400})
    found = protocol.train_noised(panel, small, home, epochs=1, on_epoch=lambda _: None)
    assert found["epsilon"] is None
    assert not found["proof"]["holds"]
    assert len(Ledger(home.database_url).entries("paris-cdr")) == 1  # charged all the same


def test_another_paper_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEILCAST_HOME", str(tmp_path))
    result = CliRunner().invoke(app, ["reproduce", "nobody2099"])
    assert result.exit_code == 2
    assert "arcolezi2022" in result.output


@pytest.mark.slow
def test_the_whole_comparison_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEILCAST_HOME", str(tmp_path))
    monkeypatch.setattr(study, "MODELS", ("ridge", "gru"))
    for name in ("nonprivate", "gradient", "perturbed"):
        first = getattr(published, name)()[-1:]
        small = [type(one)(**{**vars(one), "hidden": 8, "batch_size": 400}) for one in first]
        monkeypatch.setattr(published, name, lambda small=small: small)
    effort = Effort(
        epochs=1, seeds=2, paper_seeds=1, folds=1, settings=honest.SETTINGS[:3:2], network_epochs=1
    )
    result = study.reproduce.fn(effort)
    assert len(result["honest"]) == 4
    assert sum(row["chosen"] for row in result["honest"]) == 2
    ridge = next(row for row in result["honest"] if row["model"] == "ridge")
    assert ridge["mean"] < 1214.3
    home: Home = open_home()
    entries = Ledger(home.database_url).entries("paris-cdr")
    assert sorted(entry.purpose for entry in entries) == ["panel"] * 5 + ["training"] * 3
    (training,) = result["paper"]["BiGRU[GP]4 noised"]
    assert training["proof"]["holds"]
    assert training["epsilon"] > 0
    again = study.reproduce.fn(effort)
    assert len(Ledger(home.database_url).entries("paris-cdr")) == 8
    assert again["honest"] == result["honest"]
    ways = result["question"]["rows"]
    assert ways["gradient, bigru"][0]["epsilon"] == pytest.approx(1.0, rel=1e-3)
    best, private = (ways[name][0]["RMSE"]["mean"] for name in ("input, blend", "gradient, bigru"))
    assert best < 1214.3 < private
    paths = report.write(json.loads(json.dumps(result)), tmp_path / "report")
    text = Path(paths["md"]).read_text()
    for words in (
        "as published",
        "with the noise claimed",
        "interval-1",
        "not a private release",
        "**ridge** (chosen)",
        "0.021",
    ):
        assert words in text
    assert "<table>" in Path(paths["html"]).read_text()
    assert Path(paths["png"]).stat().st_size > 10_000
