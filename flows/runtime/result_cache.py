"""Results of the pieces of a long computation; a piece that is done is not done again."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.panel import Panel
from dp.ledger import fingerprint
from flows.runtime import progress

Piece = Callable[..., dict[str, Any]] | str
"""What computes a piece, or its name."""

FORMAT = 3
"""Of a kept piece; raised when what a piece computes changes."""
_UNNAMED = ("home", "on_epoch", "label")
"""What a piece is given and is not named by."""
_DATA = ("panel", "counts")
"""What it is named by a keyed fingerprint of: with other data it is another piece."""


class ResultCache:
    """Results of pieces in a folder, by what they are results of.

    Args:
        folder: where they are.
        secret: the installation's key. A name tells nothing without it: a bare hash of small counts, or
            of a URL with a password, could be found again by trying.
    """

    def __init__(self, folder: Path, secret: bytes) -> None:
        self.folder, self._secret = folder, secret
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
        plain = {
            name: self._print(value) if name in _DATA else _plain(value)
            for name, value in about.items()
            if name not in _UNNAMED
        }
        called = piece if isinstance(piece, str) else piece.__name__
        name = json.dumps([FORMAT, called, plain], sort_keys=True)
        return self.folder / f"{self._keyed(name.encode())[:24]}.json"

    def _print(self, data: Panel | NDArray[np.float64]) -> str:
        if isinstance(data, Panel):
            return fingerprint(self._secret, data.counts)
        return self._keyed(repr((data.shape, data.dtype.str)).encode() + data.tobytes())

    def _keyed(self, content: bytes) -> str:
        return hmac.new(self._secret, content, hashlib.sha256).hexdigest()


def _plain(value: Any) -> Any:
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value
