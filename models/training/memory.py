"""Memory: the number of runs that fit side by side."""

from __future__ import annotations

from pathlib import Path

import torch

from models.config import ForecasterConfig

SHARE = 0.5
"""Share of the free memory for runs that train together."""

_VALUE = 4
"""Bytes of a number in single precision."""


def available(device: torch.device) -> int:
    """Return the bytes that are free on a device now."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    free = _meminfo("MemAvailable")
    limit, used = (
        _number(Path("/sys/fs/cgroup") / name) for name in ("memory.max", "memory.current")
    )
    return free if limit is None or used is None else max(0, min(free, limit - used))


def run_bytes(config: ForecasterConfig, batch: int, windows: int) -> int:
    """Return the bytes that one more run needs, estimated from shapes, slightly too high.

    Args:
        config: of a recurrent network.
        batch: most windows in an update.
        windows: number of training windows, which stay on the device.
    """
    directions = 2 if config.model.startswith("bi") else 1
    gates = 3 if config.model.endswith("gru") else 4
    hidden, regions = config.hidden, len(config.regions)
    width = 2 * regions + config.features
    ahead = config.horizon * (
        (2 * config.seasonal + config.seasonal_change) * regions + config.features
    )
    ahead += config.seasonal * config.seasonal_context * regions
    weights = (directions * hidden + 2 * ahead + config.lags * regions) * config.horizon * regions
    values = 0
    for layer in range(config.layers):
        inputs = directions * hidden if layer else width
        weights += directions * gates * hidden * (inputs + hidden + 2)
        # gates and their gradients, one more of each for the hidden side or the cell, and states
        each = directions * (2 * (gates + 1) + 5) * hidden + (2 + 2 * directions) * inputs
        values += config.lags * batch * (each + 2 * directions * hidden)
    values += 4 * batch * (config.lags * regions + ahead)
    # weights, gradient, two buffers, average, best epoch, start, and copies side by side
    values += 10 * weights
    values += windows * (
        config.lags * width + ahead + (config.lags + config.seasonal + 2) * regions
    )
    return _VALUE * values


def runs_that_fit(
    config: ForecasterConfig, batch: int, windows: int, memory: int | None, device: torch.device
) -> int:
    """Return the number of runs to train side by side, at least 1.

    Args:
        config: of a recurrent network.
        batch: most windows in an update.
        windows: number of training windows of a run.
        memory: limit in bytes; None for half of the free memory.
        device: where they train.
    """
    room = int(SHARE * available(device)) if memory is None else memory
    return max(1, room // run_bytes(config, batch, windows))


def _meminfo(name: str) -> int:
    """Return a line of /proc/meminfo in bytes; a cautious 2 GiB where the file does not exist."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024
    except (OSError, StopIteration):
        return 2 * 2**30


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no such limit
        return None
