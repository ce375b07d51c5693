"""Settings of a process: the home folder of all outputs, and an environment without telemetry."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows.errors import SetupError

_QUIET = {
    "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical",
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    # The default of 20 seconds is too little for a temporary server on a busy machine.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
}

POOL = "veilcast"
"""Prefect's work pool for deployments."""


@dataclass(frozen=True)
class Home:
    """The folder of all outputs (`var/`, or `VEILCAST_HOME`)."""

    root: Path

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the ledger."""
        return os.environ.get("VEILCAST_DATABASE_URL") or f"sqlite:///{self.root / 'veilcast.db'}"

    @property
    def tracking_uri(self) -> str:
        """URI of MLflow's tracking store."""
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """Folder of the files of runs."""
        return self.root / "artifacts"

    @property
    def reports(self) -> Path:
        """Folder of reports and figures."""
        return self.root / "reports"

    @property
    def secret(self) -> Path:
        """File of the installation's key, which fingerprints and keys are made with."""
        return self.root / "secret"


def open_home() -> Home:
    """Open the home folder, created if needed.

    Raises:
        SetupError: it cannot be written to.
    """
    home = Home(Path(os.environ.get("VEILCAST_HOME") or "var").absolute())
    try:
        for folder in (home.root, home.artifacts, home.reports):
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home.root):
            pass
    except OSError as error:
        raise SetupError(
            f"cannot write to {home.root} ({error.strerror}); make it writable, or set "
            "VEILCAST_HOME to a folder that is"
        ) from None
    return home


def quiet_environment(home: Home) -> None:
    """Set the environment of Prefect, MLflow and their helpers, except what the user has set."""
    prefect = home.root / "prefect"
    prefect.mkdir(
        parents=True, exist_ok=True
    )  # its server keeps a memo there before it makes the folder
    places = {
        "PREFECT_HOME": str(prefect),
        "PREFECT_SERVER_MEMO_STORE_PATH": str(prefect / "memo.toml"),
    }
    for name, value in {**_QUIET, **places}.items():
        os.environ.setdefault(name, value)
    # It warns of events that are still unsent when a command ends, which no user can act on.
    logging.getLogger("EventsWorker").setLevel(logging.ERROR)


@dataclass(frozen=True)
class _TemporaryHome(Home):
    """A home with its own ledger, whatever the environment says."""

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.root / 'veilcast.db'}"


@contextmanager
def temporary_home() -> Iterator[Home]:
    """Open a home that is deleted afterwards; for made-up data only."""
    with tempfile.TemporaryDirectory() as folder:
        yield _TemporaryHome(Path(folder))
