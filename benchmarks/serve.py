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
CONNECTIONS = 20


def fill(url: str, regions: int) -> None:
    times = pd.date_range("2024-03-01", periods=48, freq="30min", name="time")
    values = pd.DataFrame(
        np.random.default_rng(1).uniform(0, 9999, (48, regions)),
        times,
        [f"region {at}" for at in range(regions)],
    )
    made = Forecast(
        "f" * 32,
        datetime(2024, 3, 1),
        values,
        "input",
        "user-day",
        1.0,
        1e-7,
        values * 0.9,
        values * 1.1,
    )
    append_forecasts(open_store(url), "city", made)


async def ask(port: int, rate: int, seconds: float) -> tuple[list[float], int]:
    """Latencies of answers, in seconds, from when each was due; and how many were not 200.

    Plain sockets, kept alive: a full client would take more of this machine than the service does.
    """
    request = (
        "GET /v1/forecasts?stream=city&region=region%201 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {TOKEN}\r\n\r\n"
    ).encode()
    waits: list[float] = []
    wrong = 0
    start = time.perf_counter() + 0.5

    async def connection(first: int) -> None:
        nonlocal wrong
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in range(first, int(rate * seconds), CONNECTIONS):
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            waits.append(time.perf_counter() - due)
            wrong += not head.startswith(b"HTTP/1.1 200")
        writer.close()

    await asyncio.gather(*(connection(first) for first in range(CONNECTIONS)))
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
        environment = {
            **os.environ,
            "VEILCAST_HOME": folder,
            "VEILCAST_DATABASE_URL": url,
            "VEILCAST_API_TOKEN_FILE": str(home / "token"),
        }
        server = subprocess.Popen(
            [sys.executable, "-m", "flows", "serve", "--port", str(port)],
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(600):
                try:
                    if httpx.get(f"{address}/health", timeout=5).status_code == 200:
                        break
                except httpx.HTTPError:
                    time.sleep(0.1)
            began = time.perf_counter()
            waits, wrong = asyncio.run(ask(port, given.rate, given.seconds))
            took = time.perf_counter() - began - 0.5
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
