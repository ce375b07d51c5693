"""Checks that every reader of files makes before it opens one."""

from __future__ import annotations

import difflib
from pathlib import Path

from data.errors import DataError


def check_file(path: Path) -> Path:
    """Return the path if it is a non-empty file.

    Raises:
        DataError: missing (names that are close are suggested), a folder, or empty.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder; give the path of one CSV or Parquet file")
    if not path.exists():
        siblings = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, siblings, n=1)
        hint = f"did you mean {path.parent / close[0]}?" if close else "check the path"
        raise DataError(f"no file {path}; {hint}")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty; bring a header line and one row per interval")
    return path
