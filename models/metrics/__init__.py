"""Forecast errors as pure functions of forecast and target."""

from models.metrics.interval import coverage, pinball
from models.metrics.mae import mae
from models.metrics.mase import mase
from models.metrics.region import RegionMetric
from models.metrics.rmse import rmse
from models.metrics.smape import smape

__all__ = ["RegionMetric", "coverage", "mae", "mase", "pinball", "rmse", "smape"]
