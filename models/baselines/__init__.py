"""Forecasts without a network, to compare with."""

from models.baselines.persistence import persistence
from models.baselines.ridge import Ridge
from models.baselines.seasonal import seasonal

__all__ = ["Ridge", "persistence", "seasonal"]
