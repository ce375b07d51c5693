"""Whether the service holds 200 requests a second for 20 s on the loopback.

Prints JSON: what was asked for and reached, slowest answers, and the ratio of the two rates.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import httpx
import numpy as np
import pandas as pd

from data.store import Forecast, append_forecasts, open_store

TOKEN = "a-token-of-benchmarks-0123456789"


def fill(url: str, regions: int) -> None:
    times = pd.date_range("2024-03-01", periods=48, freq="30min", name="time")
    values = pd.DataFrame(
        np.random.default_rng(1).uniform(0, 9999, (48, regions)),
        times,
        [f"region {at}" for at in range(regions)],
    )
    made = Forecast("f" * 32, datetime(2024, 3, 1), values, "input", "user-day", 1.0, 1e-7,
                    values * 0.9, values * 1.1)  # fmt: skip
    append_forecasts(open_store(url), "city", made)


async def ask(address: str, rate: int, seconds: float) -> tuple[list[float], int]:
    """Latencies of answers, in seconds, from when each was due; and how many were not 200."""
    head = {"Authorization": f"Bearer {TOKEN}"}
    limits = httpx.Limits(max_connections=50, max_keepalive_connections=50)
    waits: list[float] = []
    wrong = 0
    async with httpx.AsyncClient(
        base_url=address, headers=head, limits=limits, timeout=30
    ) as client:

        async def one(due: float) -> None:
            nonlocal wrong
            answer = await client.get(
                "/v1/forecasts", params={"stream": "city", "region": "region 1"}
            )
            waits.append(time.perf_counter() - due)
            wrong += answer.status_code != 200

        start = time.perf_counter()
        tasks = []
        for number in range(int(rate * seconds)):
            due = start + number / rate
            if (pause := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            tasks.append(asyncio.create_task(one(due)))
        await asyncio.gather(*tasks)
    return waits, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--regions", type=int, default=6)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        url = f"sqlite:///{home / 'veilcast.db'}"
        fill(url, given.regions)
        (home / "token").write_text(TOKEN)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = {**os.environ, "VEILCAST_HOME": folder, "VEILCAST_DATABASE_URL": url,
                       "VEILCAST_API_TOKEN_FILE": str(home / "token")}  # fmt: skip
        server = subprocess.Popen(
            [sys.executable, "-m", "flows", "serve", "--port", str(port)],
            env=environment, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(600):
                try:
                    if httpx.get(f"{address}/health", timeout=5).status_code == 200:
                        break
                except httpx.HTTPError:
                    time.sleep(0.1)
            began = time.perf_counter()
            waits, wrong = asyncio.run(ask(address, given.rate, given.seconds))
            took = time.perf_counter() - began
        finally:
            server.terminate()
            server.wait()
    reached = len(waits) / took
    print(
        json.dumps(
            {
                "asked_per_second": given.rate,
                "answered_per_second": round(reached, 1),
                "ratio": round(reached / given.rate, 3),
                "not_200": wrong,
                "answers": len(waits),
                "milliseconds": {
                    f"p{level}": round(float(np.percentile(waits, level)) * 1000, 1)
                    for level in (50, 95, 99, 100)
                },
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
