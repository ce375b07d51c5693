"""Break the source on purpose, one fault at a time, and see whether the tests notice.

    python tests/sabotage/run.py [--quick] [WORD ...]

Each fault is put into a temporary copy of the repository; its tests must pass without it and fail with
it. Prints fault, what caught it and seconds; exit 1 if a fault survives or no longer applies.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.sabotage.fault import Fault  # noqa: E402
from tests.sabotage.faults import FAULTS  # noqa: E402

PARTS = ("data", "dp", "models", "flows", "tests", "recipes", "pyproject.toml")


def copied(folder: Path) -> None:
    """A copy of everything that the tests need."""
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=ignored)
        else:
            shutil.copy(ROOT / part, folder / part)


def tested(folder: Path, tests: Sequence[str]) -> tuple[int, list[str], str]:
    """Exit code of pytest, names of the tests that failed, and the end of what it said."""
    data = os.environ.get("VEILCAST_DATA", str(ROOT.parent / "shared" / "data"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "VEILCAST_DATA": str(Path(data).absolute()),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    failed = re.findall(r"^(?:FAILED|ERROR) \S+?::(\w+)", done.stdout, re.MULTILINE)
    return done.returncode, failed, done.stdout[-2000:] + done.stderr[-1000:]


def put_in(folder: Path, fault: Fault) -> None:
    """Change the copy's source; the text to change must be there once."""
    path = folder / fault.file
    text = path.read_text()
    if text.count(fault.old) != 1:
        raise SystemExit(
            f"{fault.name}: its text occurs {text.count(fault.old)} times in {fault.file}; mend "
            "tests/sabotage/faults.py"
        )
    path.write_text(text.replace(fault.old, fault.new))


def tried(fault: Fault) -> tuple[bool, str, float]:
    """Whether the fault was caught, by what, and in how many seconds."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="sabotage-") as place:
        folder = Path(place)
        copied(folder)
        put_in(folder, fault)
        code, failed, said = tested(folder, fault.tests)
    caught = code == 1 and bool(failed)
    by = (
        ", ".join(failed)
        if caught
        else f"NOTHING (pytest exit {code})\n{said if code != 0 else ''}"
    )
    return caught, by, time.perf_counter() - started


def healthy(faults: Sequence[Fault]) -> None:
    """All named tests pass on the source as it is."""
    with tempfile.TemporaryDirectory(prefix="sabotage-") as place:
        copied(Path(place))
        code, failed, said = tested(
            Path(place), sorted({name for one in faults for name in one.tests})
        )
    if code != 0:
        raise SystemExit(
            f"without any fault {', '.join(failed) or 'pytest'} fails already:\n{said}"
        )


def main(arguments: Sequence[str]) -> int:
    """Try the faults that are asked for, and print the table."""
    words = [word for word in arguments if not word.startswith("-")]
    chosen = [
        fault
        for fault in FAULTS
        if ("--quick" not in arguments or fault.quick) and all(word in fault.name for word in words)
    ]
    if not chosen:
        raise SystemExit(f"no fault has all of {', '.join(words)} in its name")
    healthy(chosen)
    width = max(len(fault.name) for fault in chosen)
    print(f"{'fault':<{width}}  {'s':>5}  caught by")  # noqa: T201
    survived = 0
    for fault in chosen:
        caught, by, seconds = tried(fault)
        survived += not caught
        print(f"{fault.name:<{width}}  {seconds:5.1f}  {by}", flush=True)  # noqa: T201
    print(f"{len(chosen) - survived} of {len(chosen)} faults caught")  # noqa: T201
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
