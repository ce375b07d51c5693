"""Reusable memory for large tensors.

Allocating large tensors at every step costs more than the arithmetic on them, since the operating
system returns zeroed pages each time. Batches under Poisson sampling differ in size, so a buffer is as
large as the largest batch so far, and smaller ones use its beginning.
"""

from __future__ import annotations

from collections.abc import Hashable
from math import prod

import torch
from torch import Tensor


class Workspace:
    """Buffers by name; taking a name again overwrites its buffer."""

    def __init__(self) -> None:
        self._buffers: dict[Hashable, Tensor] = {}

    def take(self, name: Hashable, like: Tensor, *shape: int) -> Tensor:
        """Return an uninitialised tensor of this shape, with the dtype and on the device of `like`."""
        size = prod(shape)
        key = (name, like.dtype, like.device)
        buffer = self._buffers.get(key)
        if buffer is None or len(buffer) < size:
            buffer = torch.empty(size, dtype=like.dtype, device=like.device)
            self._buffers[key] = buffer
        return buffer[:size].view(shape)
