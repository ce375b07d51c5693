"""Versions of the code behind a statement: the package, its commit in a clone, its libraries."""

from __future__ import annotations

import platform
import shutil
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]


def code_version(libraries: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return versions as JSON values; null where one cannot be determined.

    Args:
        libraries: distributions whose versions matter to the promise.
    """
    commit, changed = _commit(_ROOT)
    return {
        "veilcast": _version("veilcast"),
        "commit": commit,
        "uncommitted_changes": changed,
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in libraries},
    }


def _version(name: str) -> str | None:
    try:
        return installed(name)
    except PackageNotFoundError:
        return None


@lru_cache(maxsize=4)
def _commit(root: Path) -> tuple[str | None, bool | None]:
    """Return the commit of a clone and whether its tracked files differ; None outside a clone."""
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return None, None
    head = _ask(git, root, "rev-parse", "HEAD")
    if head is None:
        return None, None
    changes = _ask(git, root, "status", "--porcelain", "--untracked-files=no")
    return head, None if changes is None else bool(changes)


def _ask(git: str, root: Path, *words: str) -> str | None:
    """Return the output of git; None if it fails, for instance in a clone that somebody else owns."""
    try:
        result = subprocess.run(  # noqa: S603  (git itself, with fixed arguments)
            [git, "-C", str(root), *words], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
