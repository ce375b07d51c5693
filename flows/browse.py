"""The MLflow UI on this machine."""

from __future__ import annotations

import subprocess
import sys

from flows.record import Tracker
from flows.settings import Home


def serve(home: Home, port: int) -> int:
    """Serve the UI on the loopback until it is interrupted; returns its exit code."""
    address = f"http://127.0.0.1:{port}/{Tracker(home).view}"
    sys.stderr.write(f"Runs with epsilon, unit and error, until Ctrl-C: {address}\n")
    command = [
        sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port),
        "--backend-store-uri", home.tracking_uri, "--workers", "1",
    ]  # fmt: skip
    try:
        return subprocess.run(command, check=False).returncode  # noqa: S603  (our own arguments)
    except KeyboardInterrupt:
        return 0
