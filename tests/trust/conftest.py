"""The pipeline of `benchmarks/kills.py`, a panel for it, and a home of its own for every test."""

import contextlib
import glob
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from flows.pipeline import figures
from flows.pipeline.result import RunResult
from flows.settings import Home, open_home

if TYPE_CHECKING:
    from tests.trust.bench import Bench

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def kills() -> ModuleType:
    """`benchmarks/kills.py` as a module."""
    spec = importlib.util.spec_from_file_location("kills", ROOT / "benchmarks" / "kills.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("VEILCAST_HOME", str(tmp_path / "var"))
    for name in ("VEILCAST_DATABASE_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return open_home()


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    times = pd.date_range("2024-01-01", periods=12 * 35, freq="2h", name="time")
    values = np.random.default_rng(0).integers(0, 300, (len(times), 2))
    pd.DataFrame(values, times, ["north", "south"]).to_csv(tmp_path / "counts.csv")
    return tmp_path / "counts.csv"


@pytest.fixture
def run(
    kills: ModuleType, csv: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., RunResult]:
    """One whole run of request number `draw`; figures are not drawn."""
    monkeypatch.setattr(figures, "figure", lambda *_, **__: b"png")
    monkeypatch.setattr(figures, "promise_figure", lambda *_, **__: None)

    def whole(draw: int = 0) -> RunResult:
        result: RunResult = kills.pipeline(kills.recipe(csv, draw), home, lambda _: None)
        return result

    return whole


class Server:
    """A PostgreSQL server that a test may stop and start."""

    def __init__(self) -> None:
        found = shutil.which("initdb") or next(
            iter(sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), reverse=True)), None
        )
        if found is None:
            if os.environ.get("VEILCAST_NEEDS_POSTGRES"):
                pytest.fail("PostgreSQL is not installed (Debian: apt-get install postgresql)")
            pytest.skip("PostgreSQL is not installed")
        self._programs = Path(found).resolve().parent
        self._place = Path(tempfile.mkdtemp(prefix="veilcast-server-"))
        self._options: dict[str, Any] = {
            "check": True,
            "stdout": subprocess.DEVNULL,
            "cwd": self._place,
        }
        if os.getuid() == 0:  # the server refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(self._place, user.pw_uid, user.pw_gid)
            self._options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._data = self._place / "data"
        self._run("initdb", "-D", self._data, "-U", "veilcast", "-A", "trust", "-N", "-E", "UTF8")
        self.url = f"postgresql://veilcast@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        serve = f"-p {self._port} -c listen_addresses=127.0.0.1 -k {self._place}"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", self._place / "log", "-o", serve, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    def remove(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.stop()
        shutil.rmtree(self._place, ignore_errors=True)

    def _run(self, program: str, *arguments: object) -> None:
        subprocess.run([self._programs / program, *map(str, arguments)], **self._options)


@pytest.fixture
def own_server() -> Iterator[Server]:
    server = Server()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """One Prefect server for all flows of a worker."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.fixture(scope="module")
def bench(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Bench"]:
    """Commands on neighbouring files, in homes of their own, under noise that drowns everything."""
    from tests.trust.bench import opened

    with opened(tmp_path_factory.mktemp("neighbours")) as found:
        yield found
