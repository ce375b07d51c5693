"""What large panels, many runs and many charges cost: seconds and memory by size.

    python benchmarks/load.py panel [--regions 1000] [--days 44]
    python benchmarks/load.py noise [--cells 400000] [--whole]
    python benchmarks/load.py runs [--count 10000]
    python benchmarks/load.py ledger [--count 10000]

`panel` reads, validates and cuts windows of a Parquet panel of quarter-hours, at half the days and at
all of them, each in a process of its own, so that growth is seen and a year can be reckoned. Seconds are
those of the processor. The ratio is of the larger to the smaller size.

`noise` compares OpenDP's sampler with the project's own by turns, three times, and gives the fastest;
`--whole` really draws a year of quarter-hours of 1,000 regions by the latter. Its ratio is of OpenDP's
time to our own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

YEAR = 365
A_YEAR = 1000 * 96 * YEAR
"""Counts of 1,000 regions."""


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds and result: other work on the machine does not count."""
    started = time.process_time()
    done = work()
    return round(time.process_time() - started, 2), done


def peak_mib() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def panel_once(regions: int, days: int) -> dict[str, Any]:
    from data import sources, validate
    from data.clean import fill_gaps
    from data.windows import WindowSpec, make

    times = pd.date_range("2024-01-01", periods=96 * days, freq="15min", name="time")
    values = np.random.default_rng(0).integers(0, 500, (len(times), regions))
    names = [f"r{number}" for number in range(regions)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "panel.parquet"
        pd.DataFrame(values, times, names).to_parquet(path)
        del values
        before = peak_mib()
        read, table = timed(lambda: sources.read(str(path)))
        checked, (panel, _) = timed(lambda: validate.to_panel(table))
        after = peak_mib()
        filled = fill_gaps(panel)
        day = 96
        few, windows = timed(lambda: make(filled, panel, WindowSpec(2, (day,))))
        lean = peak_mib()
        spec = WindowSpec(48, (day,), seasonal_context=8, seasons=2)
        many, windows = timed(lambda: make(filled, panel, spec))
    return {
        "cells": panel.values.size,
        "read_s": read,
        "validate_s": checked,
        "read_mib": after - before,
        "windows_lean_s": few,
        "windows_lean_mib": round(lean - after, 1),
        "windows_usual_s": many,
        "windows_usual_mib": round(peak_mib() - after, 1),
        "windows": len(windows),
        "bytes_a_cell": round((peak_mib() - before) * 2**20 / panel.values.size, 1),
    }


def panel(regions: int, days: int) -> dict[str, Any]:
    def apart(length: int) -> dict[str, Any]:
        return _apart(f"import json, load; print(json.dumps(load.panel_once({regions}, {length})))")

    half, whole = apart(days // 2), apart(days)
    times = YEAR / days
    return {
        "regions": regions,
        "days": days,
        "half": half,
        "whole": whole,
        "ratio": round(whole["validate_s"] / max(half["validate_s"], 0.01), 2),
        "reckoned_for_a_year": {
            "cells": round(whole["cells"] * times),
            "read_and_validate_s": round((whole["read_s"] + whole["validate_s"]) * times),
            "read_gib": round(whole["read_mib"] * times / 1024, 1),
            "windows_lean_gib": round(whole["windows_lean_mib"] * times / 1024, 1),
            "windows_usual_gib": round(whole["windows_usual_mib"] * times / 1024, 1),
        },
    }


def _apart(code: str) -> dict[str, Any]:
    """What a process of its own prints."""
    places = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def noise(cells: int, whole: bool) -> dict[str, Any]:
    """Both samplers of noise on counts by turns, each size and sampler in a process of its own."""
    found = []
    for sigma in (0.5, 40.0, 389.0, 1e4, 1e5):
        pairs = [
            (_noise("opendp", sigma, cells // 20), _noise("own", sigma, 10 * cells)) for _ in "abc"
        ]
        theirs, mine = (
            min(ways, key=lambda one: one["seconds"]) for ways in zip(*pairs, strict=True)
        )
        row = {"sigma": sigma, "opendp": theirs, "own": mine}
        if whole:
            row["own_a_year"] = _noise("own", sigma, A_YEAR)
        ratio = theirs["microseconds_a_count"] / mine["microseconds_a_count"]
        found.append({**row, "ratio": round(ratio)})
    return {"counts_of_a_year": A_YEAR, "by_sigma": found}


def _noise(sampler: str, sigma: float, cells: int) -> dict[str, Any]:
    code = f"import json, load; print(json.dumps(load.noise_once({sampler!r}, {sigma}, {cells})))"
    return _apart(code)


def noise_once(sampler: str, sigma: float, cells: int) -> dict[str, Any]:
    """Draw noise on counts, the first time in a process: with the table of the law."""
    from dp.mechanisms import count_noise

    count_noise.MANY = 0 if sampler == "own" else sys.maxsize
    counts = np.zeros(cells, dtype=np.int64)
    count_noise.discrete_gaussian(counts[:1], 1e-3 if sampler == "own" else sigma)
    before = peak_mib()
    first, _ = timed(lambda: count_noise.discrete_gaussian(counts[:1], sigma))
    drawn, _ = timed(lambda: count_noise.discrete_gaussian(counts, sigma))
    each = drawn / cells
    return {
        "counts": cells,
        "table_s": first if sampler == "own" else 0.0,
        "seconds": drawn,
        "microseconds_a_count": round(each * 1e6, 4),
        "a_year_s": round(first + each * A_YEAR, 2),
        "peak_mib": round(peak_mib() - before, 1),
        "bytes_a_count": round((peak_mib() - before) * 2**20 / cells, 1),
    }


def runs(count: int) -> dict[str, Any]:
    from mlflow.entities import Param

    from flows.settings import Home, quiet_environment
    from flows.tracking import Tracker

    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        quiet_environment(home)
        home.artifacts.mkdir()
        tracker = Tracker(home)
        found: dict[str, Any] = {"runs": count}
        first = ""
        made = 0
        for upto in (count // 10, count):
            begun = time.process_time()
            while made < upto:
                with tracker.run(f"run {made}", "city") as run:
                    tracker._client.log_batch(run.run_id, params=[Param("source", "city")])
                    first = first or run.run_id
                made += 1
            found[f"record_ms_at_{upto}"] = round((time.process_time() - begun) * 1000 / upto, 1)
            found[f"list_s_at_{upto}"], listed = timed(tracker.runs)
            assert len(listed) == upto
            found[f"find_oldest_s_at_{upto}"], oldest = timed(partial(tracker.find, first[:10]))
            assert oldest["run_id"] == first
        found["ratio"] = round(found[f"list_s_at_{count}"] / found[f"list_s_at_{count // 10}"], 1)
        return {**found, "peak_mib": peak_mib()}


def ledger(count: int) -> dict[str, Any]:
    import datetime as dt

    from dp.ledger import Charge, Ledger, verify
    from dp.unit.period import Period
    from dp.unit.privacy_unit import PrivacyUnit

    day = dt.timedelta(days=1)

    def charge(number: int) -> Charge:
        start = dt.datetime(2000, 1, 1) + (number // 10) * day
        return Charge(
            key=f"k{number}",
            dataset="city",
            fingerprint=f"f{number // 10}",
            period=Period(start, start + day, dt.timedelta(minutes=30)),
            unit=PrivacyUnit.USER_DAY,
            epsilon=0.1,
            delta=1e-7,
            purpose="panel",
            event={
                "mechanism": "discrete-gaussian",
                "sigma": 300.0 + number % 7,
                "intervals": 48,
                "regions": 1,
                "weight": 1,
                "panel": {"observed": 48, "interval_seconds": 1800.0, "regions": 1},
            },
        )

    with tempfile.TemporaryDirectory() as folder:
        book = Ledger(f"sqlite:///{Path(folder) / 'veilcast.db'}")
        found: dict[str, Any] = {"entries": count}
        made = 0
        for upto in (count // 10, count):
            while made < upto:
                book.reserve(charge(made))
                made += 1
            more = partial(_some, book, [charge(10**6 + upto + number) for number in range(20)])
            found[f"charge_ms_at_{upto}"] = round(timed(more)[0] * 50, 1)
            found[f"spent_s_at_{upto}"], _ = timed(
                lambda: book.spent("city", PrivacyUnit.USER_DAY, 1e-7)
            )
            found[f"history_s_at_{upto}"], _ = timed(book.entries)
            found[f"verify_s_at_{upto}"], verdict = timed(lambda: verify(book))
            assert verdict.holds
        found["ratio"] = round(
            found[f"charge_ms_at_{count}"] / max(found[f"charge_ms_at_{count // 10}"], 0.1), 1
        )
        size = (Path(folder) / "veilcast.db").stat().st_size
        return {**found, "bytes_an_entry": size // count, "peak_mib": peak_mib()}


def _some(book: Any, charges: list[Any]) -> None:
    for one in charges:
        book.commit(book.reserve(one))


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("what", choices=["panel", "noise", "runs", "ledger"])
    arguments.add_argument("--regions", type=int, default=1000)
    arguments.add_argument("--days", type=int, default=44)
    arguments.add_argument("--cells", type=int, default=400_000)
    arguments.add_argument("--whole", action="store_true")
    arguments.add_argument("--count", type=int, default=10_000)
    asked = arguments.parse_args()
    if asked.what == "panel":
        found = panel(asked.regions, asked.days)
    elif asked.what == "noise":
        found = noise(asked.cells, asked.whole)
    else:
        found = (runs if asked.what == "runs" else ledger)(asked.count)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
