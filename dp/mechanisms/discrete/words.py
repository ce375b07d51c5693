"""Sources of random words: of the operating system, or of a cipher with a key."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from dp.mechanisms.seed import KEY_BYTES

_COUNTS = 1 << 63
"""Added to the number of a stream: `dp.mechanisms.randomness` has those below, of the same key."""


class Words(Protocol):
    """Source of independent uniform words of 64 bits, addressed by position."""

    def take(self, start: int, size: int) -> NDArray[np.uint64]:
        """Return the words at positions `start` to `start + size - 1`, [size]."""

    def further(self, position: int) -> Iterator[int]:
        """Yield words without end that extend the one at a position to more than 64 bits."""


@dataclass(frozen=True)
class SystemWords:
    """Words of the operating system's cryptographic generator, new ones at every call.

    Nothing is kept in between, so that a forked process cannot repeat what its parent drew.
    """

    def take(self, start: int, size: int) -> NDArray[np.uint64]:
        """Return fresh words; see `Words`."""
        return np.frombuffer(os.urandom(8 * size), np.uint64)

    def further(self, position: int) -> Iterator[int]:
        """Yield fresh words; see `Words`."""
        while True:
            yield int.from_bytes(os.urandom(8), "little")


@dataclass(frozen=True)
class KeyedWords:
    """Keystream of AES-256 in counter mode: a function of key, number of the stream and position.

    The same on every platform. Whoever samples twice with the same key and stream gets the same noise
    twice: give every release a stream of its own.

    Attributes:
        key: 32 bytes, secret; cf. `dp.mechanisms.seed`.
        stream: number of the stream, below 2^63.

    Raises:
        ValueError: the key has another length, or the number is out of range.
    """

    key: bytes = field(repr=False)
    stream: int

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise ValueError(f"expected a key of {KEY_BYTES} bytes, got {len(self.key)}")
        if not 0 <= self.stream < _COUNTS:
            raise ValueError(f"expected stream={self.stream} to be at least 0 and below 2^63")

    def take(self, start: int, size: int) -> NDArray[np.uint64]:
        """Return the keystream's words; see `Words`. Words are little-endian."""
        block, skipped = divmod(start, 2)
        nonce = (_COUNTS + self.stream).to_bytes(8, "big") + block.to_bytes(8, "big")
        encryptor = Cipher(algorithms.AES(self.key), modes.CTR(nonce)).encryptor()
        stream = encryptor.update(bytes(8 * (size + skipped)))
        return np.frombuffer(stream, "<u8")[skipped:].astype(np.uint64, copy=False)

    def further(self, position: int) -> Iterator[int]:
        """Yield words of a key that is derived for the position; see `Words`.

        They are no part of the stream, so that a word that needs more does not move those behind it.
        """
        label = b"further words" + self.stream.to_bytes(8, "big") + position.to_bytes(8, "big")
        derived = KeyedWords(hmac.new(self.key, label, hashlib.sha256).digest(), 0)
        index = 0
        while True:
            yield int(derived.take(index, 1)[0])
            index += 1
