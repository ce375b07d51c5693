"""Devices, and random numbers that do not disturb those of the caller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from models.errors import ModelError

DEVICES = ("auto", "cpu", "cuda", "mps")


def pick_device(name: str) -> torch.device:
    """Return the device called `name`; `auto` takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        ModelError: unknown name, or a device that this machine does not have.
    """
    if name not in DEVICES:
        raise ModelError(f"device={name!r} is unknown; choose one of {', '.join(DEVICES)}")
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, there in present.items() if there)
    if not present[name]:
        raise ModelError(f"device={name!r} is not available here; choose 'cpu' or 'auto'")
    return torch.device(name)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators of the CPU and of `device`, and restore them on leaving.

    `torch.manual_seed` would also seed accelerators that are not restored.
    """
    kind = device.type
    devices = [device] if kind == "cuda" else []
    apple = torch.mps.get_rng_state() if kind == "mps" else None
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if kind == "cuda":
            torch.cuda.manual_seed(seed)
        if kind == "mps":
            torch.mps.manual_seed(seed)
        try:
            yield
        finally:
            if apple is not None:
                torch.mps.set_rng_state(apple)
