"""Counts from a Parquet file, wide or long."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from data.errors import DataError
from data.sources.files import check_file
from data.sources.shape import to_wide
from data.sources.table import Table


def read(path: Path) -> Table:
    """Read a Parquet file.

    Raises:
        DataError: missing, empty, or not Parquet.
    """
    import pyarrow
    from pyarrow.parquet import ParquetFile

    check_file(path)
    try:
        # not by pandas, which starts threads that can abort the process at its end (Arrow #50482)
        with ParquetFile(path) as file:
            table = file.read(use_threads=False)
            table.validate(full=True)  # damaged text would fail later, on first access
            raw = table.to_pandas(use_threads=False)
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{path} is not a whole Parquet file; write it again") from None
    if isinstance(raw.index, pd.DatetimeIndex):
        raw = raw.rename_axis(str(raw.index.name or "time")).reset_index()
    if raw.empty:
        raise DataError(f"{path} has no rows; bring one row per interval")
    return Table(to_wide(raw, str(path)), str(path))
