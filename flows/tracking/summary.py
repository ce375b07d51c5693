"""A run of MLflow as one row of a table."""

from __future__ import annotations

import time

from mlflow.entities import Run

from flows.document import Document


def summary(run: Run) -> Document:
    """Settings and figures by which runs are listed and compared; None where one has none."""
    parameters, metrics = run.data.params, run.data.metrics

    # the start may have been moved behind that of an earlier run
    began = min(run.info.start_time, run.info.end_time or run.info.start_time)

    def number(name: str) -> float | None:
        return float(parameters[name]) if name in parameters else None

    return {
        "run_id": run.info.run_id,
        "started": time.strftime("%Y-%m-%d %H:%M", time.gmtime(began / 1000)),
        "source": parameters.get("source"),
        "model": parameters.get("model"),
        "optimizer": parameters.get("optimizer"),
        "mechanism": parameters.get("mechanism"),
        "unit": parameters.get("unit"),
        "epsilon": number("epsilon"),
        "delta": number("delta"),
        "sigma": number("sigma"),
        "seed": int(parameters["seed"]) if "seed" in parameters else None,
        "rmse": metrics.get("rmse"),
        "mae": metrics.get("mae"),
        "persistence_rmse": metrics.get("persistence_rmse"),
    }
