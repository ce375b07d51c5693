"""What a sweep costs beside its trainings: Prefect and MLflow a point, and the page of 1,000 points.

The overhead is the wall time of the flow less the time spent in its chunks. A first, small sweep is
timed apart: it makes the stores and imports what is needed.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

CITY = "synthetic:days=35,persons=600,regions=3,interval=60min"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainings", type=int, default=40)
    parser.add_argument("--rows", type=int, default=1000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VEILCAST_HOME"] = folder
        figures = {"overhead": _overhead(asked.trainings), "page": _page(asked.rows, Path(folder))}
    print(json.dumps(figures, indent=2))


def _overhead(trainings: int) -> dict[str, Any]:
    from flows.cli.options import open_folders

    open_folders()
    from flows.runtime.engine import start_engine

    start_engine()()
    from flows.sweep import worker
    from flows.sweep.flow import sweep
    from flows.sweep.grid import Grid

    inside = []
    real = worker.train_chunk

    def timed(*given: Any) -> Any:
        started = time.perf_counter()
        try:
            return real(*given)
        finally:
            inside.append(time.perf_counter() - started)

    worker.train_chunk = timed

    def swept(model: str, seeds: int) -> float:
        inside.clear()
        started = time.perf_counter()
        sweep(
            Grid(
                recipe={"source": {"name": CITY}},
                mechanisms=("none",),
                units=("user",),
                epsilons=(1.0,),
                models=(model,),
                optimizers=("adam",),
                seeds=seeds,
            )
        )
        return time.perf_counter() - started

    first = swept("fourier", 2) - sum(inside)
    whole = swept("ridge", trainings)
    return {
        "first sweep of 2 trainings, overhead, seconds": round(first, 2),
        "trainings": trainings,
        "seconds": round(whole, 2),
        "seconds in chunks": round(sum(inside), 2),
        "overhead a training, seconds": round((whole - sum(inside)) / trainings, 3),
        "share of the flow": round(1 - sum(inside) / whole, 3),
    }


def _page(rows: int, folder: Path) -> dict[str, Any]:
    from flows.sweep import figure
    from flows.sweep import page as frontier_page

    table = [
        {
            "mechanism": "input",
            "unit": "user-day",
            "epsilon": 2.0 ** (at % 20 - 10),
            "delta": 1e-7,
            "neighbours": "add or remove the records of one unit",
            "model": "gru",
            "optimizer": f"number {at // 20}",
            "learning_rate": 0.01,
            "rmse": 1000.0 + at,
            "sd": 3.0,
            "seeds": 5,
            "baselines": {"persistence": 1500.0},
        }
        for at in range(rows)
    ]
    unit = {
        "unit": "user-day",
        "delta": 1e-7,
        "neighbours": "add or remove",
        "epsilon": 1.0,
        "after": 1.0,
        "cap": None,
        "fits": rows,
    }
    total = {"points": rows, "trainings": 5 * rows, "charges": rows, "units": [unit]}
    started = time.perf_counter()
    page = frontier_page.write(table, total, folder / "page.html")
    figure.write(table, total, folder / "picture.png")
    seconds = time.perf_counter() - started
    return {"rows": rows, "seconds": round(seconds, 2), "megabytes": page.stat().st_size / 1e6}


if __name__ == "__main__":
    main()
