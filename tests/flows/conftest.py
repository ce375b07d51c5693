"""One Prefect server for all flows of a worker, and a home folder of its own for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.testing.utilities import prefect_test_harness

from flows.settings import Home


@pytest.fixture(scope="session", autouse=True)
def _server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    root = tmp_path / "var"
    monkeypatch.setenv("VEILCAST_HOME", str(root))
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "CRITICAL")
    for name in ("VEILCAST_DATABASE_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return Home(root)
