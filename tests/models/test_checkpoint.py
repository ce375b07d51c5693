from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.windows import Windows, WindowSpec
from models.checkpoint import load, load_extra, open_model, save
from models.config import ForecasterConfig
from models.conformal import Intervals
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


def test_a_model_is_opened_with_its_windows_and_intervals(
    tmp_path: Path, toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    model = new(config_of(toy_windows(lags=6, seasonal=(24, 48), horizon=2)), seed=0)
    widths = Intervals({0.9: np.arange(16.0).reshape(4, 2, 2)})
    extra = {
        "seasonal": [24, 48],
        "seasons": 3,
        "interval_seconds": 3600,
        "intervals": widths.to_dict(),
        "release": None,
    }
    save(model, tmp_path / "with", extra)
    saved = open_model(tmp_path / "with")
    assert saved.spec == WindowSpec(6, (24, 48), 2, 0, 3)
    assert (saved.model.config, saved.interval_seconds) == (model.config, 3600)
    assert saved.intervals is not None
    np.testing.assert_array_equal(saved.intervals.widths[0.9], widths.widths[0.9])
    assert saved.extra == extra
    save(model, tmp_path / "without", {**extra, "intervals": None})
    assert open_model(tmp_path / "without").intervals is None


def test_a_model_without_windows_is_not_that_of_a_run(saved: Path) -> None:
    with pytest.raises(ModelError, match="not the model of a run, 'seasons' is missing"):
        open_model(saved)


def test_seasonal_fields_are_stored_under_the_names_of_earlier_versions(
    tmp_path: Path, toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    config = config_of(toy_windows(), seasonal_context=3, seasonal_change=1)
    save(new(config, seed=0), tmp_path / "model", {})
    stored = json.loads((tmp_path / "model" / "config.json").read_text())["config"]
    assert (stored["around"], stored["usual"]) == (3, 1)
    assert not {"seasonal_context", "seasonal_change"} & set(stored)
    assert load(tmp_path / "model").config == config


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
