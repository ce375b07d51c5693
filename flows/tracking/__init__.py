"""MLflow: runs, the registry of models, models as MLflow serves them. No raw count ever comes here."""

from flows.tracking.tracker import ActiveRun, Record, Tracker

__all__ = ["ActiveRun", "Record", "Tracker"]
