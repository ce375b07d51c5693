"""The model in use: the registry's champion or, while MLflow does not answer, the last known one."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import httpx

from flows.settings import Home
from flows.tracking import Tracker
from flows.tracking.model_registry import Models, Version, model_name


@dataclass(frozen=True)
class Champion:
    """A model in use.

    Attributes:
        run_id: id of its training run.
        files: folder of its weights and configuration.
        current: whether the registry answered; False for the last known model.
    """

    run_id: str
    files: Path
    current: bool


def champion(stream: str, home: Home) -> Champion | None:
    """Return the model in use for a stream; None if none was ever promoted."""
    place = home.root / "champions" / model_name(stream)
    if not reachable(home):
        known = _known(place)
        return None if known is None else Champion(known, place / known, current=False)
    version = Models(home).champion(stream)
    return None if version is None else adopt(stream, version, home)


def adopt(stream: str, version: Version, home: Home) -> Champion:
    """Copy a version's files into the home folder, so that forecasts do not need the registry."""
    place = home.root / "champions" / model_name(stream)
    folder = place / version.run_id
    if not folder.exists():
        place.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=place, prefix=".coming-"))
        shutil.copytree(Tracker(home).files(version.run_id) / "model", partial, dirs_exist_ok=True)
        try:
            partial.rename(folder)
        except OSError:  # another worker was first
            shutil.rmtree(partial)
    note = place / f".note-{os.getpid()}"
    note.write_text(json.dumps({"run_id": version.run_id}))
    os.replace(note, place / "champion.json")
    return Champion(version.run_id, folder, current=True)


def reachable(home: Home) -> bool:
    """Return whether MLflow answers; a local file always does."""
    if not home.tracking_uri.startswith("http"):
        return True
    try:
        answer = httpx.get(f"{home.tracking_uri.rstrip('/')}/health", timeout=5)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200


def _known(place: Path) -> str | None:
    try:
        run_id: str = json.loads((place / "champion.json").read_text())["run_id"]
    except (OSError, ValueError, KeyError):
        return None
    return run_id if (place / run_id).exists() else None
