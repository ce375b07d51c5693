"""What every test shares: where the real data set is."""

import os
import sys
from pathlib import Path

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
