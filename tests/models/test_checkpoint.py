from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.windows import Windows
from models.checkpoint import load, load_extra, save
from models.config import ForecasterConfig
from models.errors import ModelError
from models.forecaster import fit_scaler
from models.forecasters import new
from models.predict import predict
from models.registry import NETWORKS
from models.training.train import TrainingConfig, train


@pytest.fixture
def saved(
    tmp_path: Path, toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> Path:
    windows = toy_windows()
    model = new(config_of(windows), seed=0)
    fit_scaler(model, windows)
    save(model, tmp_path / "model", {"seasonal": [24]})
    return tmp_path / "model"


@pytest.mark.parametrize("name", NETWORKS)
def test_round_trip_gives_identical_forecasts(
    tmp_path: Path,
    toy_windows: Callable[..., Windows],
    config_of: Callable[..., ForecasterConfig],
    name: str,
) -> None:
    windows = toy_windows(horizon=3)
    model = new(config_of(windows, name, layers=2, dropout=0.1), seed=0)
    fit_scaler(model, windows)
    train(model, windows, None, TrainingConfig(epochs=1, device="cpu"))
    folder = tmp_path / "runs" / "one"
    save(model, folder, {"interval": "1h", "seasonal": [24]})
    back = load(folder)
    assert back.config == model.config
    assert not back.training
    np.testing.assert_array_equal(predict(back, windows), predict(model, windows))
    assert load_extra(folder) == {"interval": "1h", "seasonal": [24]}
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "weights.safetensors"]
    assert [path.name for path in folder.parent.iterdir()] == ["one"]  # no partial folder left


def test_an_empty_folder_is_filled_and_a_full_one_kept(
    saved: Path, toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    model = new(config_of(toy_windows()), seed=9)
    empty = saved.parent / "empty"
    empty.mkdir()
    save(model, empty, {})
    before = (saved / "weights.safetensors").read_bytes()
    with pytest.raises(ModelError, match="exists already"):
        save(model, saved, {})
    assert (saved / "weights.safetensors").read_bytes() == before


def test_a_failed_save_leaves_nothing(
    tmp_path: Path,
    toy_windows: Callable[..., Windows],
    config_of: Callable[..., ForecasterConfig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = new(config_of(toy_windows()), seed=0)
    with pytest.raises(ModelError, match="not JSON"):
        save(model, tmp_path / "model", {"when": object()})

    def crash(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("models.checkpoint.os.rename", crash)
    with pytest.raises(OSError, match="disk full"):
        save(model, tmp_path / "model", {})
    assert not list(tmp_path.iterdir())


def test_a_missing_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load(tmp_path / "nowhere")


def _edit(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("version", [0, 1, "2", None])
def test_an_unknown_version_is_refused(saved: Path, version: object) -> None:
    _edit(saved, version=version)
    with pytest.raises(ModelError, match="this release reads version 2"):
        load(saved)


@pytest.mark.parametrize(
    "change", [{"config": {"hidden": 3}}, {"config": 3}, {"weights_sha256": None}, {"extra": []}]
)
def test_a_configuration_that_is_none(saved: Path, change: dict[str, Any]) -> None:
    _edit(saved, **change)
    with pytest.raises(ModelError, match=r"config\.json"):
        load(saved)


@pytest.mark.parametrize("text", ["", "{", "[]", "\udcff"])
def test_a_configuration_that_is_not_json(saved: Path, text: str) -> None:
    (saved / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelError, match=r"config\.json"):
        load(saved)


def test_one_flipped_bit_in_the_weights_is_noticed(saved: Path) -> None:
    path = saved / "weights.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ModelError, match="corrupt"):
        load(saved)


def test_weights_of_another_shape_are_refused(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())["config"]
    _edit(saved, config={**config, "hidden": 9})
    with pytest.raises(ModelError, match="does not fit"):
        load(saved)
    (saved / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match=r"weights\.safetensors cannot be read"):
        load(saved)
