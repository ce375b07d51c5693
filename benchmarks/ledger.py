"""How long a charge takes with 10,000 entries in the account, and a look at 100 accounts.

The peer is a bare transaction that adds one row to a table of the same database, in turn with the
charges: it is what the disk takes.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from dp.ledger import Charge, Ledger
from dp.unit.period import Period
from dp.unit.privacy_unit import PrivacyUnit

DAY = timedelta(days=1)


def charge(number: int, dataset: str = "city", unit: PrivacyUnit = PrivacyUnit.USER_DAY) -> Charge:
    """A day's counts, one day after the other and each of them ten times."""
    start = datetime(2000, 1, 1) + (number // 10) * DAY
    return Charge(
        key=f"{dataset}{number}",
        dataset=dataset,
        fingerprint=f"{dataset}{number // 10}",
        period=Period(start, start + DAY, timedelta(minutes=30)),
        unit=unit,
        epsilon=0.1,
        delta=1e-7,
        event={
            "mechanism": "discrete-gaussian",
            "sigma": 300.0 + number % 7,
            "intervals": 48,
            "regions": 1,
            "weight": 1,
            "panel": {"observed": 48, "interval_seconds": 1800.0, "regions": 1},
        },
        purpose="panel",
    )


def show_budget(folder: str) -> float:
    """Seconds that the command takes as somebody at a terminal has them."""
    start = time.perf_counter()
    subprocess.run(
        [Path(sys.executable).parent / "veilcast", "budget", "show"],
        env={**os.environ, "VEILCAST_HOME": folder, "COLUMNS": "150"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start


def main(entries: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(f"sqlite:///{Path(folder) / 'veilcast.db'}")
        with ledger.database.writing() as session:
            session.execute(text("CREATE TABLE peer (id INTEGER PRIMARY KEY, text TEXT)"))
        for number in range(entries):
            ledger.reserve(charge(number))
        took: dict[str, list[float]] = {"reserve": [], "commit": [], "bare transaction": []}
        for number in range(entries, entries + 100):
            start = time.perf_counter()
            entry = ledger.reserve(charge(number))
            middle = time.perf_counter()
            ledger.commit(entry)
            end = time.perf_counter()
            with ledger.database.writing() as session:
                session.execute(text("INSERT INTO peer (text) VALUES ('x')"))
            took["reserve"].append(middle - start)
            took["commit"].append(end - middle)
            took["bare transaction"].append(time.perf_counter() - end)
        for number in range(100):
            for one in range(3):
                ledger.reserve(charge(one * 10, f"city {number}"))
        show = [show_budget(folder) for _ in range(3)]
    medians = {name: statistics.median(times) * 1e3 for name, times in took.items()}
    whole = medians["reserve"] + medians["commit"]
    return {
        "entries": entries,
        "milliseconds": {name: round(value, 2) for name, value in medians.items()},
        "charge over two bare transactions": round(whole / (2 * medians["bare transaction"]), 2),
        "seconds of `veilcast budget show`, 101 accounts": round(statistics.median(show), 2),
    }


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000), indent=2))
