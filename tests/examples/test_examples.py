"""The examples run from top to bottom, each in an empty home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def test_there_is_one_for_each_user() -> None:
    assert [path.stem for path in EXAMPLES] == ["engineer", "officer", "researcher"]


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path, tmp_path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) < 60
    assert lines[0] == "# %% [markdown]"
    places = {"VEILCAST_HOME": str(tmp_path / "var"), "TMPDIR": str(tmp_path), "MPLBACKEND": "agg"}
    servers = (
        "VEILCAST_DATABASE_URL",
        "MLFLOW_TRACKING_URI",
        "PREFECT_API_URL",
        "PREFECT_HOME",  # of an earlier test in this process
        "PREFECT_SERVER_MEMO_STORE_PATH",
    )
    kept = {name: value for name, value in os.environ.items() if name not in servers}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:__main__", path],
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": str(ROOT), **places},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    for said in _EXPECTED[path.stem]:
        assert said in done.stdout


_EXPECTED = {
    "engineer": ("evaluated on raw data", "from noised counts: post-processing", "user-day"),
    "officer": (
        "add or remove the records of one unit",
        "refused, nothing was drawn",
        "right 50 %",
    ),
    "researcher": ("user-interval", "interval-1: epsilon 7.38", "naive, per window"),
}
