"""Forecast errors as pure functions of forecast and target."""

from models.metrics.mae import mae
from models.metrics.region import RegionMetric
from models.metrics.rmse import rmse

__all__ = ["RegionMetric", "mae", "rmse"]
