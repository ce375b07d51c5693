"""Where outputs live, and an environment in which nothing calls home or chatters."""

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
    # Twenty seconds, the default, are too few for the temporary server of a lone run under load.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
}

POOL = "veilcast"
"""Prefect's work pool that deployments run in."""


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
        """Where MLflow keeps its runs."""
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """Files that belong to runs."""
        return self.root / "artifacts"

    @property
    def reports(self) -> Path:
        """Reports and figures for people."""
        return self.root / "reports"

    @property
    def secret(self) -> Path:
        """The installation's key, for names that tell nothing."""
        return self.root / "secret"


def open_home() -> Home:
    """The home folder, made and found writable.

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
    """Set what Prefect, MLflow and their helpers read; what the user has set stays."""
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
    # It tells of events that it has still to send when a command ends, which is nobody's business.
    logging.getLogger("EventsWorker").setLevel(logging.ERROR)


@dataclass(frozen=True)
class _TemporaryHome(Home):
    """A home whose ledger is its own, whatever the environment says."""

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.root / 'veilcast.db'}"


@contextmanager
def temporary_home() -> Iterator[Home]:
    """Open a home that is deleted afterwards; for made-up data alone."""
    with tempfile.TemporaryDirectory() as folder:
        yield _TemporaryHome(Path(folder))
