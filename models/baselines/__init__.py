"""Baselines: forecasts without training, to compare with."""

from models.baselines.persistence import persistence
from models.baselines.seasonal import seasonal

__all__ = ["persistence", "seasonal"]
