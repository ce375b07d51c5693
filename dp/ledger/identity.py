"""Names for data sets and releases that can be stored without telling what is in them."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def local_secret(path: Path) -> bytes:
    """The installation's secret key, made on first use and readable by its owner only.

    A bare hash of small counts could be found again by trying; a keyed one cannot.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    candidate = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    if not path.exists():
        with os.fdopen(
            os.open(candidate, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w"
        ) as file:
            file.write(secrets.token_hex(32))
        try:
            os.link(candidate, path)  # whole or not at all, and the first one wins
        except FileExistsError:
            pass
        finally:
            candidate.unlink()
    return bytes.fromhex(path.read_text())


def fingerprint(secret: bytes, counts: pd.DataFrame) -> str:
    """Keyed fingerprint of a panel: its regions, its times and its counts."""
    digest = hmac.new(secret, digestmod=hashlib.sha256)
    digest.update(json.dumps([str(name) for name in counts.columns]).encode())
    digest.update(counts.index.to_numpy(dtype="datetime64[ns]").view(np.int64).tobytes())
    digest.update(np.ascontiguousarray(counts.to_numpy(dtype=np.float64)).tobytes())
    return digest.hexdigest()


def release_key(secret: bytes, identity: dict[str, Any]) -> str:
    """Idempotency key: equal for equal releases, and only for those."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
