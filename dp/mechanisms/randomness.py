"""Random numbers for noise and batches, from a cipher with a 256-bit key of the operating system.

They do not depend on a recipe's seed. Anybody who knows them can remove the noise, so they come from
AES-256 in counter mode: from some of them, or from what they were added to, the others cannot be
derived, and there are too many keys to try (decision 0017).
"""

from __future__ import annotations

import math
import os
import secrets
from typing import NoReturn, Protocol

import numpy as np
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray
from torch import Tensor

from dp.mechanisms.seed import KEY_BYTES

_BATCHES, _NOISE = 0, 1
"""Numbers of the streams of one key. A stream has 2^64 blocks to itself."""

_BLOCK = 8192
"""Gaussians that are made at a time: few enough to stay in a cache."""

_CIPHER_BLOCK = 16
"""Bytes of a buffer that the cipher needs beyond the text."""

Floats = NDArray[np.float64]

_forks = 0


class Randomness(Protocol):
    """Source of noise and batches."""

    def uniform(self, size: int) -> Tensor:
        """Return uniform values in [0, 1), [size], float64, on the CPU."""

    def normal(self, like: Tensor, std: float) -> Tensor:
        """Return Gaussian values with mean 0, shaped like `like`, float64, on the CPU.

        They are added in double precision and rounded afterwards: noise that is rounded before it is
        added reveals low bits of the value it was added to.
        """


class Generator:
    """Cryptographic generator of all accounted noise and all batches.

    Guarantees:
        - Two generators without a given key never agree, in one process or in several. After a fork
          the child takes a new key.
        - Batches and noise are separate streams: neither depends on how much of the other was drawn.
        - The same key gives the same numbers. A given key is not continued across a fork, where
          parent and child would draw the same noise.

    Not for use by two threads at once.

    Args:
        key: 32 bytes, for `dp.mechanisms.seed` and for tests; by default from the operating system.

    Raises:
        ValueError: the key has another length.
    """

    def __init__(self, key: bytes | None = None) -> None:
        if key is not None and len(key) != KEY_BYTES:
            raise ValueError(f"expected a key of {KEY_BYTES} bytes, got {len(key)}")
        self._given = key is not None
        self._start(secrets.token_bytes(KEY_BYTES) if key is None else key)

    def uniform(self, size: int) -> Tensor:
        """Return uniform values; see `Randomness`."""
        self._stay_apart()
        return torch.from_numpy(self._batches.uniform(np.empty(size)))

    def normal(self, like: Tensor, std: float) -> Tensor:
        """Return Gaussian values; see `Randomness`."""
        self._stay_apart()
        return self._noise.take(like.numel()).mul_(std).view(like.shape)

    def _start(self, key: bytes) -> None:
        self._process = _process()
        self._batches, self._noise = _Uniforms(key, _BATCHES), _Gaussians(key, _NOISE)

    def _stay_apart(self) -> None:
        """Prevent a forked process from drawing the numbers of its parent."""
        if self._process == _process():
            return
        if self._given:
            raise RuntimeError(
                "a generator with a given key is not continued in a forked process, which would draw "
                "the same noise twice; make it in the process that draws"
            )
        self._start(secrets.token_bytes(KEY_BYTES))

    def __reduce__(self) -> NoReturn:
        """Refuse copies, which would draw the same numbers."""
        raise TypeError("a generator cannot be copied or pickled: both would draw the same noise")


class _Uniforms:
    """Keystream of AES-256-CTR as uniform values: a number of the stream, then a counter of blocks."""

    def __init__(self, key: bytes, number: int) -> None:
        nonce = number.to_bytes(8, "big") + bytes(8)
        self._encryptor = Cipher(algorithms.AES(key), modes.CTR(nonce)).encryptor()
        self._zeros, self._buffer = b"", bytearray(_CIPHER_BLOCK)

    def uniform(self, out: Floats) -> Floats:
        """Fill with whole multiples of 2^-53 in [0, 1)."""
        if len(self._zeros) != 8 * out.size:
            self._zeros = bytes(8 * out.size)
            self._buffer = bytearray(8 * out.size + _CIPHER_BLOCK)
        self._encryptor.update_into(self._zeros, self._buffer)
        words = np.frombuffer(self._buffer, "<u8", count=out.size)
        np.right_shift(words, 11, out=words)
        np.multiply(words, 2.0**-53, out=out)
        return out


class _Gaussians:
    """Standard Gaussians, each the sum of four over two.

    The rounding of a single one can reveal the value it was added to; that of a sum of four cannot be
    searched (Holohan and Braghin 2021, arXiv:2107.10138). The four come from different pairs of Box and
    Muller (1958), each of which reaches 8.6 standard deviations.
    """

    def __init__(self, key: bytes, number: int) -> None:
        self._stream = _Uniforms(key, number)
        # reused memory: fresh pages would cost more than the arithmetic
        self._uniform = np.empty(4 * _BLOCK)
        self._pairs = torch.empty(2, 4, _BLOCK // 2, dtype=torch.float64)
        self._ready = torch.empty(2, _BLOCK // 2, dtype=torch.float64)
        self._left = 0

    def take(self, size: int) -> Tensor:
        """Return the next values, [size]."""
        values = torch.empty(size, dtype=torch.float64)
        done = 0
        while done < size:
            if not self._left:
                self._fill()
            start = _BLOCK - self._left
            count = min(self._left, size - done)
            values[done : done + count] = self._ready.view(-1)[start : start + count]
            done, self._left = done + count, self._left - count
        return values

    def _fill(self) -> None:
        radius, angle = torch.from_numpy(self._stream.uniform(self._uniform)).view(2, -1)
        # half a step away from 0, where the logarithm is infinite
        radius.add_(2.0**-54).log_().mul_(-2.0).sqrt_()
        angle.mul_(2.0 * math.pi)
        across, up = self._pairs.view(2, -1)
        torch.cos(angle, out=across).mul_(radius)
        torch.sin(angle, out=up).mul_(radius)
        torch.sum(self._pairs, dim=1, out=self._ready).div_(2.0)
        self._left = _BLOCK


def _process() -> tuple[int, int]:
    """Return an identity that changes in a fork; process numbers alone are reused."""
    return os.getpid(), _forks


def _forked() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_forked)
