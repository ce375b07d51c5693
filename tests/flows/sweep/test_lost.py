"""Kept results are those of the same data, and a training that was lost is not paid for by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from data.panel import Panel
from dp.ledger import Ledger
from dp.mechanisms.count_noise import CountNoise
from dp.mechanisms.offset_noise import OffsetNoise
from dp.mechanisms.seed import Seed
from dp.release.idempotent import reserve
from flows.cli.app import app
from flows.pipeline.dpsgd import run
from flows.pipeline.dpsgd import train as gradient
from flows.runtime.result_cache import ResultCache
from flows.settings import Home
from flows.sweep.cost import charges_of, panel_of
from flows.sweep.grid import Grid
from flows.sweep.result import Lost, Trained
from flows.sweep.worker import train_chunk

CITY = "synthetic:days=35,persons=600,regions=3,interval=60min"
WINDOWS = {
    "lags": 6,
    "around": 0,
    "seasons": 0,
    "validation": "0d",
    "calibration": "0d",
    "seasonal": ["1d"],
}


@pytest.fixture
def opened(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    for folder in (home.root, home.artifacts, home.reports):
        folder.mkdir(parents=True)
    monkeypatch.setenv("VEILCAST_HOME", str(home.root))
    return home


def grid(source: str, mechanism: str, **source_: Any) -> Grid:
    private = mechanism == "gradient"
    return Grid(
        recipe={
            "source": {"name": source, **source_},
            "windows": WINDOWS,
            "privacy": {"mechanism": mechanism, "delta": 1e-6},
            "model": {"hidden": 4} if private else {},
            "training": {"epochs": 1, "batch_size": 64},
        },
        mechanisms=(mechanism,),
        units=("interval-1" if private else "user-day",),
        epsilons=(8.0,),
        models=("gru" if private else "ridge",),
        optimizers=("adam",),
        seeds=1,
    )


def recipe(one: Grid) -> dict[str, Any]:
    return one.at(one.points()[0], 0).to_dict()


def reserve_again(one: Grid, home: Home) -> None:
    """What another run of the sweep does, once it has announced it."""
    (charge,) = charges_of(one, one.points(), {}, panel_of(one), home)
    reserve(Ledger(home.database_url), charge)


def states(home: Home) -> list[str]:
    return [entry.state for entry in Ledger(home.database_url).entries()]


KILLED = """
import json, os, signal, sys
from flows.pipeline.dpsgd import train as gradient
from flows.sweep.worker import train_chunk
from flows.settings import open_home
from dp.mechanisms.seed import Seed

gradient.train = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
for recipe, seed in zip(json.loads(sys.argv[1]), json.loads(sys.argv[2])):
    if os.fork() == 0:
        train_chunk([recipe], [Seed(bytes.fromhex(seed))], open_home())
    os.wait()
"""


def test_a_worker_that_is_killed_costs_no_second_charge(opened: Home) -> None:
    estimated, declared = grid(CITY, "gradient"), grid(CITY, "gradient", max_count=600)
    recipes, seeds = [recipe(estimated), recipe(declared)], [Seed(), Seed()]
    numbers = json.dumps([seed.value.hex() for seed in seeds])
    subprocess.run(
        [sys.executable, "-c", KILLED, json.dumps(recipes), numbers],
        check=True,
        env=dict(os.environ),
    )
    assert states(opened) == ["committed", "committed"]
    lost, done = train_chunk(recipes, seeds, opened)  # as the next worker does
    assert isinstance(lost, Lost)
    assert "its release was lost" in lost.reason
    assert isinstance(done, Trained)
    assert done.result.epsilon == pytest.approx(8.0, rel=0.01)  # drawn once more, for nothing
    assert states(opened) == ["committed", "released"]
    assert isinstance(train_chunk(recipes, seeds, opened)[0], Lost)  # however often
    assert states(opened) == ["committed", "released"]
    reserve_again(estimated, opened)
    again, _ = train_chunk(recipes, seeds, opened)
    assert isinstance(again, Trained)
    assert again.result.epsilon == pytest.approx(8.0, rel=0.01)
    assert states(opened) == ["committed", "released", "released"]


def test_counts_whose_noise_was_lost_are_not_noised_again(
    opened: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = grid(CITY, "input")

    def dies(*_: object) -> None:
        raise MemoryError

    for noise in (CountNoise, OffsetNoise):
        monkeypatch.setattr(noise, "draw", dies)
    with pytest.raises(MemoryError):
        train_chunk([recipe(asked)], [Seed()], opened)
    monkeypatch.undo()
    monkeypatch.setenv("VEILCAST_HOME", str(opened.root))
    (lost,) = train_chunk([recipe(asked)], [Seed()], opened)
    assert isinstance(lost, Lost)
    assert "(panel) was charged and its release was lost" in lost.reason
    assert states(opened) == ["committed"]
    reserve_again(asked, opened)
    assert isinstance(train_chunk([recipe(asked)], [Seed()], opened)[0], Trained)


@pytest.mark.slow
def test_a_sweep_says_what_was_lost_and_goes_on_when_it_is_run_again(
    opened: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [
        "sweep",
        "--source",
        CITY,
        "--mechanism",
        "gradient,input",
        "--unit",
        "user-interval",
        "--epsilon",
        "8",
        "--delta",
        "1e-6",
        "--model",
        "gru",
        "--optimizer",
        "adam",
        "--seeds",
        "1",
        "--json",
        "--set",
        "model.hidden=4",
        "--set",
        "windows.lags=6",
        "--set",
        "training.epochs=1",
        "--set",
        "training.batch_size=64",
    ]
    train, calls = run.train, []

    def crashes_once(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("a worker went away")
        return train(*arguments)

    monkeypatch.setattr(gradient, "train", crashes_once)
    monkeypatch.setattr("flows.sweep.worker.chunk_step.retry_delay_seconds", 0)
    first = CliRunner().invoke(app, asked)
    said = " ".join(first.output.split())
    assert first.exit_code == 1, said
    assert "1 of 2 trainings were lost, the others are done and kept" in said
    assert "announces and pays" in said
    assert sorted(states(opened)) == ["committed", "released"]
    second = CliRunner().invoke(app, asked)
    assert second.exit_code == 0, second.output
    assert json.loads(second.stdout)["total"]["charges"] == 1
    assert sorted(states(opened)) == ["committed", "released", "released"]


def table(level: int) -> pd.DataFrame:
    times = pd.date_range("2024-01-01", periods=24 * 35, freq="h", name="time")
    return pd.DataFrame(
        level + np.random.default_rng(1).integers(0, 50, (len(times), 2)), times, ["north", "south"]
    )


@pytest.mark.parametrize("mechanism", ["none", "input"])
def test_a_file_that_changed_has_no_kept_results(
    opened: Home, tmp_path: Path, mechanism: str
) -> None:
    path, found = tmp_path / "counts.csv", []
    asked = recipe(grid(str(path), mechanism))
    for level in (500, 500, 5000):
        table(level).to_csv(path)
        (result,) = train_chunk([asked], [Seed()], opened)
        assert isinstance(result, Trained)
        found.append(result)
    assert found[0] == found[1]
    assert found[2].result.rmse != found[0].result.rmse
    assert found[2].files != found[0].files
    assert len(states(opened)) == (0 if mechanism == "none" else 2)


def test_names_of_kept_results_tell_nothing_of_the_data(tmp_path: Path) -> None:
    def names(secret: bytes, level: int) -> set[str]:
        folder = tmp_path / f"{secret.hex()}-{level}"
        keep, panel = ResultCache(folder, secret), Panel(table(level).astype(float), "x")
        keep.put({}, "piece", counts=panel.values, recipe={})
        keep.put({}, "piece", panel=panel, recipe={})
        return {path.name for path in folder.iterdir()}

    ours = names(b"a" * 32, 500)
    assert len(ours) == 2
    assert names(b"b" * 32, 500).isdisjoint(ours)
    assert names(b"a" * 32, 501).isdisjoint(ours)
