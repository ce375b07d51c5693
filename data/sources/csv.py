"""Counts from a CSV file, wide or long."""

from __future__ import annotations

import zlib
from pathlib import Path

import pandas as pd

from data.errors import DataError
from data.sources.files import check_file
from data.sources.shape import mask_numbers, to_wide
from data.sources.table import Table

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


def read(path: Path) -> Table:
    """Read a CSV file (may be gzipped); the separator is found in the header line.

    Raises:
        DataError: missing, empty, not text, no separator that works, rows of different lengths.
    """
    check_file(path)
    try:
        header = pd.read_csv(path, header=None, nrows=1, sep="\x1f")
        line = str(header.iloc[0, 0])
        separator = max(SEPARATORS, key=line.count)
        if separator not in line:
            raise DataError(
                f"{path}: no separator in the header {mask_numbers(line[:80])!r}; separate columns by "
                f"{', '.join(SEPARATORS.values())}"
            )
        _names(path, separator)
        raw = pd.read_csv(path, sep=separator, skipinitialspace=True)
    except (UnicodeDecodeError, OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read as text ({type(error).__name__}); save it whole, as "
            "UTF-8 (in a spreadsheet: CSV UTF-8)"
        ) from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{path} is empty; bring a header line and one row per interval") from None
    except pd.errors.ParserError as error:
        # pandas counts fields and lines here and quotes no cell
        raise DataError(f"{path}: {str(error).strip()}; correct that line") from None
    if not isinstance(raw.index, pd.RangeIndex):  # pandas takes extra fields for row labels
        raise DataError(
            f"{path}: rows have more fields than the header; give every column a name, and write whole "
            "numbers without commas"
        )
    if raw.empty:
        raise DataError(f"{path} has a header and no rows; bring one row per interval")
    wide = to_wide(raw, str(path))
    empty = wide.iloc[:, 1:].isna().all()
    if empty.any() and not empty.all():
        # a header without its line end continues with the counts of the first row
        raise DataError(
            f"{path}: {int(empty.sum())} of {len(empty)} columns hold no count in any row; check that "
            "the header ends its line, or leave them out"
        )
    return Table(wide, str(path))


def _names(path: Path, separator: str) -> None:
    """Refuse a header that pandas would complete by itself: its names would become regions."""
    line = pd.read_csv(path, header=None, nrows=1, sep=separator, skipinitialspace=True, dtype=str)
    names = ["" if pd.isna(name) else str(name).strip() for name in line.iloc[0]]
    if "" in names:
        raise DataError(
            f"{path}: column {names.index('') + 1} of {len(names)} has no name; name it, or leave it "
            "out (row numbers by pandas: to_csv(..., index=False))"
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(
            f"{path}: {names.count(twice)} columns are called {mask_numbers(twice)!r}; every region "
            "needs a name of its own (is the header line missing?)"
        )
