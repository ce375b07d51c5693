"""How long raw events take to bounded counts, and how much memory, beside a query written by hand.

200,000 persons, 50 regions, M = 1, K = 16 half-hours a day, from a Parquet file. The peer is one DuckDB
query of the same shape (its own hash, no checks, regions as they come), in turn with ours and in a
process of its own like it; pandas does the same on a tenth of the rows. Memory is the process's peak.

    python benchmarks/events.py [millions of events, 20] [rounds, 3]
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PERSONS, REGIONS, DAYS, KEPT, SLOTS = 200_000, 50, 7, 16, 48
MEMORY = "2GB"

MAKE = f"""
COPY (
    SELECT (hash(i) % {PERSONS})::BIGINT AS person,
           TIMESTAMP '2024-01-01' + INTERVAL 1 SECOND * (hash(i + 7) % ({DAYS} * 86400))::BIGINT AS time,
           'region ' || (hash(i * 3 + 13) % {REGIONS}) AS place
    FROM range(?) t(i)
) TO '{{path}}' (FORMAT parquet)
"""

PLAIN = f"""
WITH cells AS (
    SELECT person, epoch_us(time) // 1800000000 AS slot,
           arg_min(place, hash(person, epoch_us(time) // 1800000000, place)) AS place
    FROM read_parquet('{{path}}') GROUP BY 1, 2
), ranked AS (
    SELECT slot, place,
           row_number() OVER (PARTITION BY person, slot // {SLOTS} ORDER BY hash(person, slot, 5)) AS n
    FROM cells
)
SELECT slot, place, count(*) AS persons FROM ranked WHERE n <= {KEPT} GROUP BY 1, 2
"""


def ours(path: str) -> int:
    from data.events.config import EventsConfig
    from data.events.read import Limits, read_events

    config = EventsConfig(
        start="2024-01-01",
        end=f"2024-01-{1 + DAYS:02}",
        regions=tuple(f"region {number}" for number in range(REGIONS)),
    )
    table = read_events(path, config, Limits("user-day", KEPT), secret=b"benchmark")
    return int(table.frame.iloc[:, 1:].sum(axis=None))


def plain(path: str) -> int:
    import duckdb

    with tempfile.TemporaryDirectory() as spill:
        settings = {
            "memory_limit": MEMORY,
            "preserve_insertion_order": False,
            "temp_directory": spill,
        }
        connection = duckdb.connect(config=settings)
        found = connection.sql(PLAIN.format(path=path)).df()
        wide = found.pivot(index="slot", columns="place", values="persons").fillna(0)
        connection.close()
    return int(wide.sum(axis=None))


def pandas(path: str) -> int:
    import numpy as np
    import pandas as pd

    frame = pd.read_parquet(path)
    frame["slot"] = frame["time"].astype("int64") // (1800 * 10**6)
    rng = np.random.default_rng(0)
    frame = frame.sample(frac=1, random_state=0).drop_duplicates(["person", "slot"])
    frame["day"], frame["order"] = frame["slot"] // SLOTS, rng.random(len(frame))
    frame = frame.sort_values("order").groupby(["person", "day"], sort=False).head(KEPT)
    return int(frame.groupby(["slot", "place"]).size().unstack(fill_value=0).sum(axis=None))


def alone(name: str, path: str) -> dict[str, Any]:
    """One way in a process of its own."""
    command = [sys.executable, __file__, "--one", name, path]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def one(name: str, path: str) -> dict[str, Any]:
    way = {"ours": ours, "plain": plain, "pandas": pandas}[name]
    __import__("ibis" if name == "ours" else "duckdb")  # imports are not what is measured
    start, cpu = time.perf_counter(), time.process_time()
    counted = way(path)
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "counted": counted,
    }


def main(millions: float, rounds: int) -> dict[str, Any]:
    import duckdb

    found: dict[str, list[dict[str, Any]]] = {"ours": [], "plain": [], "pandas": []}
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for size in (millions, min(millions, 20) / 10):
            paths[size] = f"{folder}/{size}.parquet"
            duckdb.connect().execute(MAKE.format(path=paths[size]), [int(size * 1e6)])
        for number in range(rounds):
            names = ("ours", "plain") if number % 2 == 0 else ("plain", "ours")
            for name in names:
                found[name].append(alone(name, paths[millions]))
        for name in ("pandas", "ours"):
            key = "pandas" if name == "pandas" else "ours, as many rows as pandas"
            found[key] = [alone(name, paths[min(millions, 20) / 10])]
        size = Path(paths[millions]).stat().st_size
    best = {
        name: {key: min(one[key] for one in runs) for key in runs[0]}
        for name, runs in found.items()
    }
    small = best["ours, as many rows as pandas"]
    return {
        "events": int(millions * 1e6),
        "persons": PERSONS,
        "regions": REGIONS,
        "days": DAYS,
        "K": KEPT,
        "M": 1,
        "parquet_mib": round(size / 2**20),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "memory_limit": MEMORY,
        "best_of": rounds,
        **best,
        "ratio_to_plain": best["ours"]["seconds"] / best["plain"]["seconds"],
        "cpu_ratio_to_plain": best["ours"]["cpu_seconds"] / best["plain"]["cpu_seconds"],
        "pandas_to_ours": best["pandas"]["seconds"] / small["seconds"],
        "pandas_memory_to_ours": best["pandas"]["peak_mib"] / small["peak_mib"],
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(*sys.argv[2:4])))
    else:
        given = sys.argv[1:]
        millions, rounds = float(given[0]) if given else 20.0, int(given[1]) if given[1:] else 3
        print(json.dumps(main(millions, rounds), indent=2))
