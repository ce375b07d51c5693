"""The stack as a whole: up, down and status."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from flows.deploy.heartbeats import BEAT_SECONDS
from flows.document import Document
from flows.errors import SetupError
from flows.runtime.local import in_use, write_private
from flows.settings import POOL
from flows.stack import postgres, processes, tables
from flows.stack.places import SERVICES, Places, open_places
from flows.stack.processes import Service

_SILENT = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}


def up(home: Path, ports: dict[str, int] | None = None) -> Document:
    """Start every service that does not run yet, and return the status.

    Raises:
        SetupError: a port is taken, a program is missing, or a service does not come up.
    """
    places = open_places(home, ports)
    _ports_are_ours(places)
    if not postgres.running(places):
        postgres.start(places)
    tables.prepare(places.database("veilcast"))
    servers = [mlflow(places), prefect(places)]
    for server in servers:
        processes.start(places, server)
    for server in servers:
        processes.wait(places, server)
    if not processes.running(places, "worker"):
        _pool(places)
    last = [_worker(places), _api(places)]
    for service in last:
        processes.start(places, service)
    for service in last:
        processes.wait(places, service)
    write_private(
        places.root / "env",
        "".join(f"export {k}={shlex.quote(v)}\n" for k, v in places.environment().items()),
    )
    return status(home)


def down(home: Path) -> Document:
    """Stop everything, the last started first; nothing of the stack runs afterwards."""
    if not (home / "stack" / "ports.json").exists():
        return {"stack": str(home / "stack"), "services": {}}
    places = open_places(home)
    for name in reversed(SERVICES[1:]):
        processes.stop(places, name)
    processes.sweep(places)
    postgres.stop(places)
    return status(home)


def status(home: Path) -> Document:
    """Return which services run, and where."""
    if not (home / "stack" / "ports.json").exists():
        return {"stack": str(home / "stack"), "services": {}}
    places = open_places(home)
    services: Document = {
        "postgres": {
            "up": postgres.running(places),
            "address": f"127.0.0.1:{places.ports['postgres']}",
        }
    }
    for service in (mlflow(places), prefect(places), _worker(places), _api(places)):
        runs = processes.running(places, service.name)
        services[service.name] = {
            "up": runs and processes.healthy(service.health),
            "address": places.url(service.name),
        }
    return {
        "stack": str(places.root),
        "environment": str(places.root / "env"),
        "token": str(places.root / "secrets" / "api"),
        "services": services,
    }


def _ports_are_ours(places: Places) -> None:
    for name in SERVICES:
        ours = postgres.running(places) if name == "postgres" else processes.running(places, name)
        port = places.ports[name]
        if not ours and in_use(port):
            raise SetupError(
                f"port {port} of {name} is in use by another program; stop that, or choose another "
                f"with --port {name}=NUMBER"
            )


def mlflow(places: Places) -> Service:
    """Return the MLflow server as a service."""
    files = places.root / "mlflow"
    command = (
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(places.ports["mlflow"]),
        "--workers",
        "1",
        "--artifacts-destination",
        str(files),
    )
    environment = {
        **_SILENT,
        "MLFLOW_BACKEND_STORE_URI": places.database("mlflow", driver="+psycopg"),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    return Service("mlflow", command, environment, f"{places.url('mlflow')}/health")


def prefect(places: Places) -> Service:
    """Return the Prefect server as a service."""
    command = (
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(places.ports["prefect"]),
    )
    environment = {
        **_SILENT,
        "PREFECT_HOME": str(places.root / "prefect"),
        "PREFECT_API_DATABASE_CONNECTION_URL": places.database("prefect", driver="+asyncpg"),
        "PREFECT_UI_API_URL": f"{places.url('prefect')}/api",
        "PREFECT_SERVER_MEMO_STORE_PATH": str(places.root / "prefect" / "memo.toml"),
    }
    return Service("prefect", command, environment, f"{places.url('prefect')}/api/health")


def worker(places: Places, name: str = "worker", port: int | None = None) -> Service:
    """Return a worker as a service; a second worker needs its own name and port."""
    port = port or places.ports["worker"]
    command = (
        sys.executable,
        "-m",
        "prefect",
        "worker",
        "start",
        "--pool",
        POOL,
        "--type",
        "process",
        "--name",
        name,
        "--with-healthcheck",
        "--limit",
        "2",
    )
    environment = {
        **_SILENT,
        **places.environment(),
        "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
        "PREFECT_WORKER_WEBSERVER_PORT": str(port),
        "PREFECT_WORKER_QUERY_SECONDS": "5",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(BEAT_SECONDS),
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "PREFECT_LOGGING_LEVEL": "INFO",
        # wait for a server that restarts, or whose database does
        "PREFECT_CLIENT_MAX_RETRIES": "10",
        "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
        "OMP_NUM_THREADS": "1",
    }
    return Service(name, command, environment, f"http://127.0.0.1:{port}/health")


def _worker(places: Places) -> Service:
    return worker(places)


def _api(places: Places) -> Service:
    command = (
        sys.executable,
        "-m",
        "flows",
        "serve",
        "--port",
        str(places.ports["api"]),
    )
    environment = {
        **places.environment(),
        "VEILCAST_DATABASE_URL": places.database("reader", "veilcast"),
        "VEILCAST_API_TOKEN_FILE": str(places.root / "secrets" / "api"),
    }
    return Service("api", command, environment, f"{places.url('api')}/health")


def _pool(places: Places) -> None:
    from flows.stack.pool import open_pool

    open_pool(f"{places.url('prefect')}/api")
