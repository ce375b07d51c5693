"""Memory that is used again step after step.

Large tensors that are made and dropped at every step cost more than the arithmetic on them: the
operating system hands out zeroed pages each time. Batches under Poisson sampling differ in size, so
a buffer is as large as the largest batch so far, and smaller ones use its beginning.
"""

from __future__ import annotations

from collections.abc import Hashable
from math import prod

import torch
from torch import Tensor


class Workspace:
    """Buffers by name; what one of them holds is lost when the same name is taken again."""

    def __init__(self) -> None:
        self._buffers: dict[Hashable, Tensor] = {}

    def take(self, name: Hashable, like: Tensor, *shape: int) -> Tensor:
        """An uninitialised tensor of this shape, with the dtype and on the device of `like`."""
        size = prod(shape)
        key = (name, like.dtype, like.device)
        buffer = self._buffers.get(key)
        if buffer is None or len(buffer) < size:
            buffer = torch.empty(size, dtype=like.dtype, device=like.device)
            self._buffers[key] = buffer
        return buffer[:size].view(shape)
