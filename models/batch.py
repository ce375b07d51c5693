"""Windows as tensors on a device, indexed batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.windows import Windows
from models.config import ForecasterConfig
from models.errors import ModelError


@dataclass(frozen=True)
class Batch:
    """B windows as float32 tensors, named and shaped like `data.windows.Windows`."""

    past: Tensor
    past_calendar: Tensor
    seasonal: Tensor
    seasonal_context: Tensor
    seasonal_change: Tensor
    calendar: Tensor
    target: Tensor

    def __len__(self) -> int:
        return len(self.past)

    def take(self, rows: Tensor) -> Batch:
        """Return the chosen windows only; `rows` are positions, [B]."""
        rows = rows.to(self.past.device)
        return Batch(
            past=self.past[rows],
            past_calendar=self.past_calendar[rows],
            seasonal=self.seasonal[rows],
            seasonal_context=self.seasonal_context[rows],
            seasonal_change=self.seasonal_change[rows],
            calendar=self.calendar[rows],
            target=self.target[rows],
        )

    def batches(self, order: Tensor, size: int) -> Iterator[Batch]:
        """Yield batches of `size` windows in the given order, the last one shorter."""
        for start in range(0, len(order), size):
            yield self.take(order[start : start + size])


def to_device(windows: Windows, device: torch.device) -> Batch:
    """Copy windows to `device`."""

    def copy(array: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> Tensor:
        # windows are overlapping views of a panel: a tensor needs its own memory. A value beyond
        # single precision becomes infinite without a warning, which would tell that it was there.
        with np.errstate(over="ignore"):
            return torch.from_numpy(np.array(array, dtype=np.float32)).to(device)

    return Batch(
        past=copy(windows.past),
        past_calendar=copy(windows.past_calendar),
        seasonal=copy(windows.seasonal),
        seasonal_context=copy(windows.seasonal_context),
        seasonal_change=copy(windows.seasonal_change),
        calendar=copy(windows.calendar),
        target=copy(windows.target),
    )


def check_inputs(windows: Windows, config: ForecasterConfig) -> None:
    """Raise a ModelError unless a model of this configuration can read the windows."""
    sizes = {
        "lags": windows.past.shape[1],
        "seasonal": windows.seasonal.shape[1],
        "seasonal_context": windows.seasonal_context.shape[2],
        "seasonal_change": windows.seasonal_change.shape[1],
        "horizon": windows.target.shape[1],
        "features": windows.calendar.shape[2],
        "regions": windows.regions,
    }
    for name, value in sizes.items():
        expected = getattr(config, name)
        if value != expected:
            raise ModelError(f"the windows have {name}={value}, the model was built for {expected}")
    read = (windows.past, windows.seasonal, windows.seasonal_context, windows.seasonal_change)
    if not all(np.isfinite(part).all() for part in read):
        raise ModelError("a window has gaps in the inputs of the model; fill them first")


def check_target(windows: Windows, use: str) -> None:
    """Raise a ModelError unless there are windows and all their targets are observed."""
    if not len(windows):
        raise ModelError(f"no window for {use}; bring more data or shorten the lags")
    if not np.isfinite(windows.target).all():
        raise ModelError(f"a window for {use} has gaps in its target; leave such windows out")
