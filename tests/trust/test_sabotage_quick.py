"""A few faults of `make sabotage`, so that the tests are tested all the time."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.sabotage.faults import FAULTS

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "tests" / "sabotage" / "run.py"


@pytest.mark.slow
def test_deliberate_faults_are_caught() -> None:
    done = subprocess.run(
        [sys.executable, str(RUN), "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    quick = sum(fault.quick for fault in FAULTS)
    assert quick >= 4
    assert f"{quick} of {quick} faults caught" in done.stdout


def test_every_fault_still_applies_and_names_tests_that_exist() -> None:
    for fault in FAULTS:
        assert (ROOT / fault.file).read_text().count(fault.old) == 1, fault.name
        for test in fault.tests:
            file, _, name = test.partition("::")
            assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(), test
