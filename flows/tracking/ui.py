"""The MLflow UI on this machine."""

from __future__ import annotations

import os
import subprocess
import sys

from flows.settings import Home
from flows.tracking import Tracker


def serve(home: Home, port: int) -> int:
    """Serve the UI on the loopback until it is interrupted; returns its exit code."""
    address = f"http://127.0.0.1:{port}/{Tracker(home).view}"
    sys.stderr.write(f"Runs with epsilon, unit and error, until Ctrl-C: {address}\n")
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "ui",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    # not an argument, which everybody on the machine can read: it may hold a password
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": home.tracking_uri}
    try:
        return subprocess.run(command, check=False, env=environment).returncode  # noqa: S603  (ours)
    except KeyboardInterrupt:
        return 0
