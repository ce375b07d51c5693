"""Results of the pieces of a long computation; a piece that is done is not done again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flows import progress

Piece = Callable[..., dict[str, Any]] | str
"""What computes a piece, or its name."""

FORMAT = 2
"""Of a kept piece; raised when what a piece computes changes."""
_UNNAMED = ("panel", "home", "on_epoch", "counts", "label")
"""What a piece is given and is not named by."""


class Kept:
    """Results of pieces in a folder, by what they are results of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.done = 0

    def __call__(self, piece: Callable[..., dict[str, Any]], **about: Any) -> dict[str, Any]:
        """The piece's result: read, or computed and written whole."""
        path = self._path(piece, about)
        self.done += 1
        label = about.pop("label", about.get("model", piece.__name__.strip("_")))
        progress.stage_at(f"{self.folder.name}: {label}", self.done)
        if not path.exists():
            self.put(piece(**about), piece, **about)
        result: dict[str, Any] = json.loads(path.read_text())
        return result

    def put(self, result: dict[str, Any], piece: Piece, **about: Any) -> None:
        """Keep a result that was computed elsewhere."""
        path = self._path(piece, about)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(result))
        os.replace(partial, path)

    def known(self, piece: Piece, **about: Any) -> dict[str, Any] | None:
        """The piece's result if it is there; nothing is computed."""
        path = self._path(piece, about)
        result: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
        return result

    def _path(self, piece: Piece, about: dict[str, Any]) -> Path:
        plain = {name: _plain(value) for name, value in about.items() if name not in _UNNAMED}
        if "counts" in about:
            plain["counts"] = hashlib.sha256(about["counts"].tobytes()).hexdigest()
        called = piece if isinstance(piece, str) else piece.__name__
        name = json.dumps([FORMAT, called, plain], sort_keys=True)
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.json"


def _plain(value: Any) -> Any:
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value
