"""Places of the stack: its folders, ports and secrets, and the environment made of them."""

from __future__ import annotations

import json
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from flows.errors import SetupError
from flows.runtime.local import write_private

SERVICES = ("postgres", "mlflow", "prefect", "worker", "api")
ROLES = ("postgres", "veilcast", "reader", "counts", "mlflow", "prefect")
"""`veilcast` owns store and ledger, `reader` may read forecasts, `counts` owns incoming counts."""
MARK = "VEILCAST_STACK"
"""In the environment of everything that the stack starts, so that `down` finds all of it."""


@dataclass(frozen=True)
class Places:
    """Folders and ports of one stack.

    Attributes:
        home: the folder of all outputs.
        ports: port on the loopback by service.
    """

    home: Path
    ports: dict[str, int]

    @property
    def root(self) -> Path:
        """The stack's own folder."""
        return self.home / "stack"

    def secret(self, role: str) -> str:
        """Return the password of a role."""
        return (self.root / "secrets" / role).read_text().strip()

    def database(self, role: str, name: str | None = None, *, driver: str = "") -> str:
        """Return the URL of a database as a role; by default the role's own database."""
        address = f"127.0.0.1:{self.ports['postgres']}/{name or role}"
        return f"postgresql{driver}://{role}:{self.secret(role)}@{address}"

    def url(self, service: str) -> str:
        """Return the address of a server."""
        return f"http://127.0.0.1:{self.ports[service]}"

    def environment(self) -> dict[str, str]:
        """Return the environment of commands that work with the stack; it holds passwords."""
        return {
            "VEILCAST_HOME": str(self.home),
            "VEILCAST_DATABASE_URL": self.database("veilcast"),
            "MLFLOW_TRACKING_URI": self.url("mlflow"),
            "PREFECT_API_URL": f"{self.url('prefect')}/api",
            "PREFECT_HOME": str(self.root / "prefect"),
            "VEILCAST_COUNTS_URL": self.database("counts"),
            "VEILCAST_API_URL": self.url("api"),
        }


def open_places(home: Path, wanted: dict[str, int] | None = None) -> Places:
    """Open the stack of a home folder; ports are chosen once and kept, secrets are made once.

    Args:
        home: the folder of all outputs.
        wanted: ports by service; others are chosen among free ones.

    Raises:
        SetupError: an unknown service, or no port.
    """
    root = home / "stack"
    for folder in (root, root / "secrets"):
        folder.mkdir(parents=True, exist_ok=True)
    (root / "secrets").chmod(0o700)
    for role in (*ROLES, "api"):
        secret = root / "secrets" / role
        if not secret.exists():
            write_private(secret, secrets.token_urlsafe(24))
    path = root / "ports.json"
    ports = json.loads(path.read_text()) if path.exists() else {}
    for service, port in (wanted or {}).items():
        if service not in SERVICES or not 0 < port < 65536:
            raise SetupError(f"no port {service}={port}; services are {', '.join(SERVICES)}")
        ports[service] = port
    for service in SERVICES:
        ports.setdefault(service, _free(set(ports.values())))
    path.write_text(json.dumps(ports, indent=2) + "\n")
    return Places(home, ports)


def _free(taken: set[int]) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port
