"""Forecasts of a trained network."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from data.windows import Windows
from models.batch import Batch, check_inputs, to_device
from models.device import pick_device
from models.forecaster import Forecaster


def predict(
    model: Forecaster, windows: Windows, *, batch: int = 1024, device: str | None = None
) -> NDArray[np.float64]:
    """Return the forecast, [N, H, R], in persons, clipped at 0.

    Args:
        model: a trained forecaster; its device and mode do not change.
        windows: without gaps in the inputs; the target may be missing.
        batch: windows per forward pass.
        device: `auto`, `cpu`, `cuda` or `mps`; by default that of the model.

    Raises:
        ModelError: the windows do not fit the model, or the device is not available.
    """
    check_inputs(windows, model.config)
    home = model.mean.device
    place = home if device is None else pick_device(device)
    model.to(place)
    try:
        return forecast(model, to_device(windows, place), batch=batch)
    finally:
        model.to(home)


def forecast(model: Forecaster, data: Batch, *, batch: int = 1024) -> NDArray[np.float64]:
    """Return the forecast, [N, H, R], for windows that are on the device of the model already."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            parts = [model(part) for part in data.batches(torch.arange(len(data)), batch)]
    finally:
        model.train(training)
    steps = torch.cat(parts) if parts else torch.empty_like(data.target)
    return np.maximum(steps.cpu().numpy().astype(np.float64), 0.0)
