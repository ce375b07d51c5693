"""Charges and permits for tests."""

import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dp.ledger import Charge, Ledger
from dp.period import Period
from dp.permit import Permit
from dp.unit import PrivacyUnit

DAY = Period(datetime(2024, 1, 1), datetime(2024, 1, 2), timedelta(minutes=30))


@pytest.fixture(scope="session")
def charge() -> Callable[..., Charge]:
    """Makes charges of an event; every field but that has a usual value."""

    def make(event: dict[str, Any], **values: Any) -> Charge:
        usual = {
            "key": "key", "dataset": "city", "fingerprint": "f", "period": DAY,
            "unit": PrivacyUnit.USER_DAY, "epsilon": 1.0, "delta": 1e-7, "purpose": "panel",
        }  # fmt: skip
        return Charge(**{**usual, "event": event, **values})

    return make


@pytest.fixture(scope="session")
def permit(charge: Callable[..., Charge]) -> Callable[[dict[str, Any]], Permit]:
    """Permits, charged to a ledger in memory as everywhere else."""

    def make(event: dict[str, Any]) -> Permit:
        ledger = Ledger("sqlite://")
        return ledger.commit(ledger.reserve(charge(event)))

    return make


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
    start = [folder / "pg_ctl", "-D", data, "-w", "-l", place / "log", "-o", serve, "start"]
    subprocess.run(start, **options)
    try:
        yield f"postgresql://veilcast@127.0.0.1:{port}"
    finally:
        subprocess.run([folder / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **options)
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
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
