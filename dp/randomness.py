"""Random numbers for noise and sampling: seeded from the operating system, never logged.

They have nothing to do with a recipe's seed. Whoever knows them can take the noise off again.
"""

from __future__ import annotations

import os
import secrets
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor


class Randomness(Protocol):
    """Where noise and batches come from."""

    def uniform(self, size: int) -> Tensor:
        """Uniform values in [0, 1), [size], float64, on the CPU."""

    def normal(self, like: Tensor, std: float) -> Tensor:
        """Gaussian values with mean 0, shaped like `like`, on its device, in its dtype."""


class Generator:
    """torch's generators, seeded with 64 bits from the operating system. Fast.

    Args:
        seed: for tests, and for `dp.seed`; one that somebody else knows is no secret.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._seed = secrets.randbits(63) if seed is None else seed
        self._made: dict[str, torch.Generator] = {}

    def uniform(self, size: int) -> Tensor:
        """See `Randomness`."""
        return torch.rand(size, generator=self._on(torch.device("cpu")), dtype=torch.float64)

    def normal(self, like: Tensor, std: float) -> Tensor:
        """See `Randomness`."""
        noise = torch.empty_like(like, memory_format=torch.contiguous_format)
        return noise.normal_(0.0, std, generator=self._on(like.device))

    def _on(self, device: torch.device) -> torch.Generator:
        name = str(device)
        if name not in self._made:
            self._made[name] = torch.Generator(device).manual_seed(self._seed)
        return self._made[name]


class OperatingSystem:
    """Every number from the operating system's generator, and Gaussians that hide their rounding.

    A Gaussian is the sum of four over two: the float rounding of one alone can give away what it was
    added to (Holohan and Braghin 2021, arXiv:2107.10138). Costs are measured in
    `benchmarks/secure_noise.py`.
    """

    def uniform(self, size: int) -> Tensor:
        """See `Randomness`."""
        return torch.from_numpy(_uniform(size))

    def normal(self, like: Tensor, std: float) -> Tensor:
        """See `Randomness`."""
        # half a step away from 0, where the inverse of the normal law is infinite
        values = ndtri(_uniform(4 * like.numel()) + 2.0**-54).reshape(4, -1).sum(axis=0) / 2
        return torch.from_numpy(values * std).to(like).view_as(like)


def _uniform(size: int) -> NDArray[np.float64]:
    """53 random bits each, in [0, 1)."""
    bits = np.frombuffer(os.urandom(8 * size), dtype=np.uint64) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53
