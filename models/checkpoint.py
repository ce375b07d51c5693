"""Saved models: `weights.safetensors` and `config.json`, neither of which is executed on reading."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors

from data.windows import WindowSpec
from models.config import ForecasterConfig
from models.conformal import Intervals
from models.errors import ModelError
from models.forecaster import Forecaster
from models.forecasters import new

VERSION = 2
_NO_ARCHIVE = (
    zipfile.BadZipFile,
    KeyError,
    ValueError,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    zlib.error,
    struct.error,
)
"""Errors of `zipfile` for bytes that are no archive, or only a part of one."""
_STORED = {"seasonal_context": "around", "seasonal_change": "usual"}
"""Fields of a configuration that have another name in the file, that of earlier versions."""
WEIGHTS, CONFIG = "weights.safetensors", "config.json"


@dataclass(frozen=True)
class SavedModel:
    """The model of a run, with what is needed to forecast with it.

    Attributes:
        model: on the CPU, in evaluation mode.
        spec: of the windows that it reads.
        intervals: prediction intervals; None where none were calibrated.
        interval_seconds: length of an interval of its panel.
        extra: all values that were saved with it.
    """

    model: Forecaster
    spec: WindowSpec
    intervals: Intervals | None
    interval_seconds: int
    extra: dict[str, Any]


def save(model: Forecaster, folder: Path, extra: dict[str, Any]) -> None:
    """Write weights, scaler and configuration to `folder`, all at once or not at all.

    Args:
        model: on any device.
        folder: must not exist yet, or be empty; its parents are made.
        extra: JSON values that belong to the model (window offsets, interval, ...); read back with
            `load_extra`. Never counts.

    Raises:
        ModelError: the folder is not empty, or `extra` is not JSON.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"{folder} exists already; save to a new folder")
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    weights = write_tensors(tensors)
    document = {
        "version": VERSION,
        "config": _to_stored(model.config),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "extra": extra,
    }
    try:
        text = json.dumps(document, indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ModelError(f"extra holds something that is not JSON: {error}") from error
    folder.parent.mkdir(parents=True, exist_ok=True)
    # next to its destination: a rename is atomic only within one file system
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        (partial / WEIGHTS).write_bytes(weights)
        (partial / CONFIG).write_text(text + "\n", encoding="utf-8")
        partial.chmod(0o755)  # mkdtemp makes it private; a saved model is read by other workers
        if folder.exists():
            folder.rmdir()
        os.rename(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def load(folder: Path) -> Forecaster:
    """Read a saved model, on the CPU and in evaluation mode.

    Raises:
        ModelError: missing, corrupt, or written by an unknown version.
    """
    document = _document(folder)
    config = document["config"]
    try:
        model = new(_from_stored(config), seed=0)
    except (ModelError, TypeError, KeyError) as error:
        raise ModelError(f"{folder / CONFIG}: not a model's configuration ({error})") from error
    try:
        weights = (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise ModelError(f"{folder / WEIGHTS} cannot be read: {error.strerror}") from error
    if hashlib.sha256(weights).hexdigest() != document["weights_sha256"]:
        raise ModelError(f"{folder / WEIGHTS} is corrupt or not the file that was saved")
    try:
        model.load_state_dict(read_tensors(weights))
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"{folder / WEIGHTS} does not fit {CONFIG}") from error
    return model.eval()


def load_extra(folder: Path) -> dict[str, Any]:
    """Read the values that were saved with the model; raises ModelError like `load`."""
    extra: dict[str, Any] = _document(folder)["extra"]
    return extra


def open_model(folder: Path) -> SavedModel:
    """Read the model of a run, with the specification of its windows and its prediction intervals.

    Raises:
        ModelError: as by `load`, or the model was saved without its windows.
    """
    model, extra = load(folder), load_extra(folder)
    config, intervals = model.config, extra.get("intervals")
    try:
        offsets, seasons = tuple(extra["seasonal"]), extra["seasons"]
        interval_seconds = int(extra["interval_seconds"])
    except KeyError as error:
        raise ModelError(f"{folder / CONFIG}: not the model of a run, {error} is missing") from None
    return SavedModel(
        model,
        WindowSpec(config.lags, offsets, config.horizon, config.seasonal_context, seasons),
        None if intervals is None else Intervals.from_dict(intervals),
        interval_seconds,
        extra,
    )


def packed(model: Forecaster, extra: dict[str, Any]) -> bytes:
    """Return the files of `save` as one uncompressed archive."""
    buffer = io.BytesIO()
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(buffer, "w") as archive:
        save(model, Path(scratch) / "model", extra)
        for name in (WEIGHTS, CONFIG):
            archive.write(Path(scratch) / "model" / name, name)
    return buffer.getvalue()


def unpacked(content: bytes) -> tuple[Forecaster, dict[str, Any]]:
    """Return model and extra of an archive by `packed`; raises ModelError like `load`."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for name in (WEIGHTS, CONFIG):
                    (Path(scratch) / name).write_bytes(archive.read(name))
        except _NO_ARCHIVE as error:
            raise ModelError(f"not an archive of a model: {error}") from error
        return load(Path(scratch)), load_extra(Path(scratch))


def _to_stored(config: ForecasterConfig) -> dict[str, Any]:
    """Return the fields of a configuration under their names in the file."""
    return {_STORED.get(name, name): value for name, value in asdict(config).items()}


def _from_stored(values: dict[str, Any]) -> ForecasterConfig:
    """Return the configuration whose fields stand in the file; raises TypeError or KeyError if none."""
    fields = {stored: name for name, stored in _STORED.items()}
    named = {fields.get(name, name): value for name, value in values.items()}
    lists = {name: tuple(named[name]) for name in ("regions", "members")}
    return ForecasterConfig(**{**named, **lists})


def _document(folder: Path) -> dict[str, Any]:
    """Read the configuration file, and check its version and keys."""
    path = folder / CONFIG
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # not JSON, not UTF-8
        raise ModelError(f"{path} is corrupt: not JSON") from error
    version = document.get("version") if isinstance(document, dict) else None
    if version != VERSION:
        raise ModelError(f"{path} has version {version!r}; this release reads version {VERSION}")
    for key, kind in (("config", dict), ("weights_sha256", str), ("extra", dict)):
        if not isinstance(document.get(key), kind):
            raise ModelError(f"{path} is corrupt: {key!r} is missing or of the wrong kind")
    result: dict[str, Any] = document
    return result
