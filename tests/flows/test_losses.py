"""The training loss of a private training is private data: it is neither kept nor told anywhere."""

from __future__ import annotations

import io
import json
import logging
import math
import re
import sqlite3
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from rich.progress import Progress
from typer.testing import CliRunner

from data.panel import Panel
from dp.ledger import Ledger
from dp.private.noise_proof import CRYPTOGRAPHIC
from dp.private.training import _Steps
from flows.cli.app import app
from flows.pipeline.dpsgd import run as private_run
from flows.pipeline.fit import fit
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import Privatised
from flows.pipeline.windows import Prepared, prepare
from flows.recipe.recipe import Recipe, from_dict
from flows.runtime.progress import Reporter
from flows.settings import Home
from models import checkpoint
from models.diagnostics.weight_distance import LogFit
from models.errors import ModelError
from models.forecasters import new
from models.training.epochs import Epoch

EPOCHS = 3


def frame() -> pd.DataFrame:
    times = pd.date_range("2024-01-01", periods=24 * 60, freq="1h", name="time")
    wave = 500 + 200 * np.sin(np.arange(len(times)) / 24 * 2 * np.pi)[:, None]
    values = np.round(wave + np.random.default_rng(2).normal(0, 20, (len(times), 2)))
    return pd.DataFrame(values, times, ["a", "b"])


def recipe(**training: object) -> Recipe:
    return from_dict(
        {
            "source": {"name": "synthetic", "max_count": 1000.0},
            "privacy": {
                "mechanism": "gradient",
                "unit": "interval-1",
                "epsilon": 8.0,
                "delta": 1e-6,
                "noise_multiplier": 4.0,
            },
            "windows": {
                "lags": 6,
                "seasonal": ["1d"],
                "around": 0,
                "seasons": 0,
                "test": "1d",
                "validation": "0d",
            },
            "model": {"name": "gru", "hidden": 4},
            "training": {"epochs": EPOCHS, "batch_size": 64, "device": "cpu", **training},
        }
    )


def prepared(values: pd.DataFrame, asked: Recipe) -> Prepared:
    panel = Panel(values, "made up", public=False)
    return prepare(Privatised(panel, panel, Guarantee()), panel, asked.windows, repair=False)


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """What each update's windows lost."""
    seen: list[torch.Tensor] = []
    honest = _Steps.apply

    def apply(self: _Steps, model: Any, optimizer: Any, found: Any) -> Any:
        if self.sampling.steps > 1:  # not those of the twin run, which are of made-up windows
            seen.append(found.losses.double().clone())
        return honest(self, model, optimizer, found)

    monkeypatch.setattr(_Steps, "apply", apply)
    return seen


def figures(losses: list[torch.Tensor]) -> list[float]:
    """Means of updates and of epochs, in the orders in which they can be added up."""
    each = math.ceil(len(losses) / EPOCHS)
    epochs = [torch.cat(losses[at : at + each]) for at in range(0, len(losses), each)]
    return [float(one.mean()) for one in (*losses, *epochs) if len(one)]


def opened(content: bytes) -> Iterator[bytes]:
    yield content
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield archive.read(name)


def pieces(path: Path) -> Iterator[bytes]:
    """A file's content; of a database, every cell."""
    if path.suffix != ".db":
        yield from opened(path.read_bytes())
        return
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            for row in connection.execute(f'SELECT * FROM "{name}"'):
                for cell in row:
                    if isinstance(cell, float):
                        yield repr(cell).encode()
                    yield from opened(cell if isinstance(cell, bytes) else str(cell).encode())


def told(content: bytes, values: list[float]) -> list[float]:
    """Which of the values are in it: as text of six digits or more, or as floats."""
    numbers = [float(one) for one in re.findall(rb"\d+\.\d{3,}(?:e[+-]?\d+)?", content)]
    near = np.array(sorted(numbers))
    found = []
    for value in values:
        place = np.searchsorted(near, value * (1 - 2e-6))
        as_text = place < len(near) and near[place] <= value * (1 + 2e-6)
        if as_text or struct.pack("<d", value) in content or struct.pack("<f", value) in content:
            found.append(value)
    return found


def test_no_loss_is_kept_or_told(
    home: Home, tmp_path: Path, losses: list[torch.Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    csv = tmp_path / "counts.csv"
    frame().astype(int).to_csv(csv)
    caplog.set_level(logging.DEBUG)
    result = CliRunner().invoke(
        app,
        [
            "train",
            "--source",
            str(csv),
            "--mechanism",
            "gradient",
            "--unit",
            "interval-1",
            "--epsilon",
            "8",
            "--delta",
            "1e-6",
            "--set",
            "model.hidden=4",
            "--set",
            f"training.epochs={EPOCHS}",
            "--set",
            "training.batch_size=64",
            "--json",
        ],
    )
    assert result.exit_code == 0, result.output
    values = figures(losses)
    assert len(values) > 3 * EPOCHS
    written = json.dumps({"history": [{"loss": value} for value in values]}).encode()
    assert told(written, values) == values  # it does find what is there
    run = json.loads(result.stdout)["run_id"]
    for text in (result.output, result.stderr, caplog.text):
        assert told(text.encode(), values) == []
    for path in home.root.rglob("*"):
        if path.is_file() and path.suffix != ".png":
            for piece in pieces(path):
                assert told(piece, values) == [], path
    url = str(PREFECT_API_DATABASE_CONNECTION_URL.value())
    for piece in pieces(Path(url.partition("///")[2].partition("?")[0])):
        assert told(piece, values) == []

    ledger = Ledger(home.database_url)
    (entry,) = ledger.entries()
    _, extra = checkpoint.unpacked(ledger.released(entry.key))
    assert [epoch["loss"] for epoch in extra["history"]["epochs"]] == [None] * EPOCHS
    client = MlflowClient(home.tracking_uri)
    assert "loss" not in client.get_run(run).data.metrics
    assert len(client.get_metric_history(run, "epsilon interval-1 delta 1e-06")) == EPOCHS


def test_progress_shows_a_loss_where_there_is_one() -> None:
    for loss, wanted in (
        (None, "train: epoch 1, eps 2"),
        (0.5, "train: epoch 1, loss 0.5000, eps 2"),
    ):
        with Progress(disable=True) as progress:
            Reporter(progress).epoch(Epoch(1, loss, None, 1.0), {"eps": 2.0})
            assert progress.tasks[0].description == wanted


def test_losses_of_earlier_releases_are_dropped(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And they promise nothing: their noise came from a generator whose seeds can be tried."""
    home.root.mkdir(parents=True, exist_ok=True)
    asked = recipe()
    windows = prepared(frame(), asked)
    honest = checkpoint.packed

    def earlier(model: Any, extra: dict[str, Any]) -> bytes:
        for epoch in extra["history"]["epochs"]:
            epoch["loss"] = 0.123456
        extra["history"]["distance"] = extra["history"].pop("observed")["weight_distance"]
        del extra["proof"]["checks"][CRYPTOGRAPHIC]
        return honest(model, extra)

    with monkeypatch.context() as past:
        past.setattr(checkpoint, "packed", earlier)
        fit(windows, asked, Guarantee(), home, lambda *_: None)
    logged: list[dict[str, float]] = []
    again = fit(windows, asked, Guarantee(), home, lambda _, values: logged.append(values))
    assert len(Ledger(home.database_url).entries()) == 1  # returned, and not charged again
    assert [epoch.loss for epoch in again.history.epochs] == [None] * EPOCHS
    assert isinstance(again.history.observed["weight_distance"], LogFit)
    assert len(logged) == EPOCHS
    assert all("loss" not in values for values in logged)
    assert again.guarantee.epsilon is None
    assert again.guarantee.statement is not None
    assert CRYPTOGRAPHIC in again.guarantee.statement["text"]


def test_a_private_run_fails_on_its_weights_alone(home: Home, losses: list[torch.Tensor]) -> None:
    """Absurd counts make losses that are not finite, and no difference to whether the run succeeds."""
    home.root.mkdir(parents=True, exist_ok=True)
    absurd = frame()
    absurd.iloc[300:306, 0] = 1e30
    asked = recipe()
    fitted = fit(prepared(absurd, asked), asked, Guarantee(), home, lambda *_: None)
    assert not all(bool(torch.isfinite(one).all()) for one in losses)
    assert all(bool(torch.isfinite(p).all()) for p in fitted.model.parameters())
    assert fitted.guarantee.proof is not None
    assert fitted.guarantee.proof["holds"]
    too_far = {"learning_rate": 3e38, "grad_norm": 100.0}
    for wrong, words in (
        (too_far, "weights of epoch 1 are not finite"),
        ({"learning_rate": 1e36}, "training diverged"),
    ):
        wild = recipe(optimizer="sgd", **wrong)
        with pytest.raises(ModelError, match=words):
            fit(prepared(frame(), wild), wild, Guarantee(), home, lambda *_: None)


def test_finite_weights_may_still_forecast_nothing() -> None:
    """Judged on made-up windows."""
    asked = recipe()
    windows = prepared(frame(), asked)
    model = new(asked.model.forecaster(windows.split.train.regions, windows.spec), 0)
    assert private_run._usable(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(3e38)
    assert not private_run._usable(model)


def test_plain_trainings_tell_their_losses(home: Home) -> None:
    home.root.mkdir(parents=True, exist_ok=True)
    asked = recipe()
    privacy = replace(asked.privacy, mechanism="none", noise_multiplier=None, unit="user")
    plain = replace(asked, privacy=privacy)
    logged: list[dict[str, float]] = []
    fit(prepared(frame(), plain), plain, Guarantee(), home, lambda _, values: logged.append(values))
    assert all(values["loss"] > 0 for values in logged)
