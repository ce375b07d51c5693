"""Public statistics of a network's inputs, from a made-up city: free to use under privacy."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from data.clean import fill_gaps
from data.sources import synthetic
from data.windows import make
from flows.pipeline.windows import Prepared
from models.batch import to_device
from models.forecaster import Forecaster, fit_scaler
from models.nets.recurrent import Network


def second_moment(model: Forecaster, prepared: Prepared) -> Tensor | None:
    """E[x·xᵀ] of what the recurrent layer reads in one interval, [F, F]; None without such a layer.

    A city with as many regions and the same intervals is made, scaled by its own figures and read
    through a network of the same shape. Of the data only shape and interval are looked at.
    """
    if not isinstance(model, Network):
        return None
    minutes = int(prepared.raw.interval.total_seconds()) // 60
    city = synthetic.named(regions=len(model.config.regions), interval=f"{minutes}min")
    panel = fill_gaps(synthetic.panel(city))
    windows = make(panel, panel, prepared.spec)
    reader = Network(replace(model.config, regions=windows.regions))
    fit_scaler(reader, windows)
    with torch.no_grad():
        read = reader.sequence(to_device(windows, torch.device("cpu"))).flatten(0, 1)
    return read.T @ read / len(read)
