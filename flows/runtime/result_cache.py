"""Cached results of the pieces of a long computation, so that it can be resumed."""

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
from flows.document import Document
from flows.runtime import progress

Piece = Callable[..., Document] | str
"""Function that computes a piece, or its name."""

FORMAT = 3
"""Version of cached results; increased when the computation of a piece changes."""
_UNNAMED = ("home", "on_epoch", "label")
"""Arguments that do not identify a piece."""
_DATA = ("panel", "counts")
"""Arguments that identify it by a keyed fingerprint: with other data it is another piece."""


class ResultCache:
    """Results of pieces in a folder, by function and arguments.

    Args:
        folder: where they are.
        secret: the installation's key, which file names are hashed with: an unkeyed hash of small
            counts, or of a URL with a password, could be inverted by trying.
    """

    def __init__(self, folder: Path, secret: bytes) -> None:
        self.folder, self._secret = folder, secret
        folder.mkdir(parents=True, exist_ok=True)
        self.done = 0

    def __call__(self, piece: Callable[..., Document], **about: Any) -> Document:
        """Return the piece's result: read, or computed and written atomically."""
        path = self._path(piece, about)
        self.done += 1
        label = about.pop("label", about.get("model", piece.__name__.strip("_")))
        progress.stage_at(f"{self.folder.name}: {label}", self.done)
        if not path.exists():
            self.put(piece(**about), piece, **about)
        result: Document = json.loads(path.read_text())
        return result

    def put(self, result: Document, piece: Piece, **about: Any) -> None:
        """Store a result that was computed elsewhere."""
        path = self._path(piece, about)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(result))
        os.replace(partial, path)

    def known(self, piece: Piece, **about: Any) -> Document | None:
        """Return the piece's result if it is cached; compute nothing."""
        path = self._path(piece, about)
        result: Document | None = json.loads(path.read_text()) if path.exists() else None
        return result

    def _path(self, piece: Piece, about: Document) -> Path:
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
