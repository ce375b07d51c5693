"""What every test shares: where the real data set is, and empty databases."""

import glob
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Read when Prefect is imported; its console would outlive the streams that tests capture.
os.environ["PREFECT_LOGGING_LEVEL"] = "CRITICAL"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "true"

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True, scope="session")
def _data_beside_the_repository() -> None:
    """Outside CI the data set may lie beside the clone; absent, its reader says what to do."""
    beside = ROOT.parent / "shared" / "data"
    if "VEILCAST_DATA" in os.environ:  # relative to where the tests were started
        os.environ["VEILCAST_DATA"] = str(Path(os.environ["VEILCAST_DATA"]).absolute())
    elif beside.is_dir():
        os.environ["VEILCAST_DATA"] = str(beside)


@pytest.fixture(autouse=True, scope="session")
def _absl_leaves_captured_streams_open() -> None:
    """Its handler, made on import, closes the stream it was made with once logging is set up anew."""
    import absl.logging

    absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server of our own on the loopback, without a database name."""
    programs = shutil.which("initdb") or next(
        iter(sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), reverse=True)), None
    )
    if programs is None:
        if os.environ.get("VEILCAST_NEEDS_POSTGRES"):
            pytest.fail("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        pytest.skip("PostgreSQL is not installed")
    folder = Path(programs).resolve().parent
    place = Path(tempfile.mkdtemp(prefix="veilcast-postgres-"))  # sockets need a short path
    options: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL, "cwd": place}
    if os.getuid() == 0:  # the server refuses to run as root
        user = pwd.getpwnam("postgres" if _exists("postgres") else "nobody")
        os.chown(place, user.pw_uid, user.pw_gid)
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = place / "data"
    subprocess.run(
        [folder / "initdb", "-D", data, "-U", "veilcast", "-A", "trust", "-N", "-E", "UTF8"],
        **options,
    )
    serve = f"-p {port} -c listen_addresses=127.0.0.1 -c max_connections=150 -k {place}"
    start: list[str | Path] = [folder / "pg_ctl", "-D", data, "-w", "-l", place / "log"]
    subprocess.run([*start, "-o", serve, "start"], **options)
    try:
        yield f"postgresql://veilcast@127.0.0.1:{port}"
    finally:
        subprocess.run([folder / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **options)
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'veilcast.db'}"
    server = request.getfixturevalue("postgres")
    name = f"t{uuid.uuid4().hex[:12]}"
    import psycopg

    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{server}/{name}"


def _exists(user: str) -> bool:
    try:
        return bool(pwd.getpwnam(user))
    except KeyError:
        return False
