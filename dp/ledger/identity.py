"""Keyed names of data sets and releases, which can be stored without revealing their content."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def local_secret(path: Path) -> bytes:
    """Return the installation's secret key, made on first use and readable by its owner only.

    A bare hash of small counts could be inverted by trial; a keyed one cannot.
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
    """Return the keyed fingerprint of a panel: its regions, its times and its counts."""
    digest = hmac.new(secret, digestmod=hashlib.sha256)
    digest.update(json.dumps([str(name) for name in counts.columns]).encode())
    digest.update(counts.index.to_numpy(dtype="datetime64[ns]").view(np.int64).tobytes())
    digest.update(np.ascontiguousarray(counts.to_numpy(dtype=np.float64)).tobytes())
    return digest.hexdigest()


_BLOCK = 32
"""Intervals of a block, hashed together."""
_PRINTS = 512
"""Most prints of a sketch: a few days of a few months in a few regions still share two."""
_DISTINCT = 4
"""Distinct counts that a block must hold; blocks of quiet nights are alike everywhere."""


def sketch(secret: bytes, counts: pd.DataFrame, interval: timedelta) -> tuple[str, ...]:
    """Return keyed prints that a panel still shares after it grew, was cut, or had columns reordered.

    Of all blocks of 32 intervals of one region those with the smallest keyed hashes (bottom-k sketch,
    Broder 1997). Two panels that share many blocks share many prints; others share none. Blocks with
    hardly any distinct counts are hashed together with the whole panel, so that they match no other
    panel's, and the number of prints does not reveal how many such blocks there are.

    Args:
        secret: the installation's key.
        counts: raw counts, [T, R], regular in time.
        interval: length of one.

    Returns:
        At most 512 prints of 64 bits, sorted; none of a panel that is shorter than a block.
    """
    times = counts.index.to_numpy(dtype="datetime64[ns]").view(np.int64) // 10**9
    span = int(interval.total_seconds() * _BLOCK)
    starts = np.flatnonzero(times % span < interval.total_seconds())
    values = counts.to_numpy(dtype=np.float64)
    names = [json.dumps([str(name), span]).encode() for name in counts.columns]
    whole = bytes.fromhex(fingerprint(secret, counts))
    prints: set[str] = set()
    for start in starts:
        block = values[start : start + _BLOCK]
        if len(block) < _BLOCK or np.isnan(block).any():
            continue
        for name, column in zip(names, block.T, strict=True):
            content = column.tobytes() if len(set(column.tolist())) >= _DISTINCT else whole
            digest = hashlib.blake2b(key=secret[:64], digest_size=8, person=b"sketch")
            digest.update(name + str(times[start]).encode() + content)
            prints.add(digest.hexdigest())
    return tuple(sorted(prints)[:_PRINTS])


def release_key(secret: bytes, identity: dict[str, Any]) -> str:
    """Return an idempotency key: equal for equal releases, and only for those."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
