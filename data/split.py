"""Splits by time: test periods come after, and never overlap with, training periods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from data.errors import DataError
from data.windows import Windows


@dataclass(frozen=True)
class Split:
    """Windows by use, disjoint in their targets and ordered in time."""

    train: Windows
    validation: Windows
    test: Windows


def split(windows: Windows, *, test: int, validation: int) -> Split:
    """Cut the last `test` targets off for the test, and `validation` before them.

    A training window's targets all end before the first validation target starts, likewise between
    validation and test: with horizon H the H-1 windows that straddle a cut are dropped. Windows
    without a fully observed target are dropped everywhere.

    Args:
        windows: every window of a panel, in order.
        test: length of the test period, in intervals.
        validation: length of the validation period, in intervals; may be 0.

    Raises:
        DataError: nothing would be left to train on, or to test.
    """
    end = windows.ends[-1]
    test_start = end - test * windows.interval
    validation_start = test_start - validation * windows.interval
    parts = Split(
        train=_between(windows, None, validation_start),
        validation=_between(windows, validation_start, test_start),
        test=_between(windows, test_start, end),
    )
    if not len(parts.train) or not len(parts.test) or (validation and not len(parts.validation)):
        raise DataError(
            f"{len(windows)} windows cannot be split into {test} intervals of test, "
            f"{validation} of validation and something to train on; bring a longer series or "
            "shorten the periods"
        )
    return parts


def rolling_origin(windows: Windows, *, folds: int, size: int) -> tuple[Split, ...]:
    """Return folds that each train on everything before a period of `size` intervals and test on it.

    The periods are the last `folds` × `size` intervals of `windows`, without overlap, oldest first
    (Tashman 2000). Each fold is a `Split` with an empty validation part. Give it windows that do not
    contain the test period, and the choice of hyperparameters never sees the test period.
    """
    length = size * windows.interval
    result = []
    for fold in range(folds, 0, -1):
        start = windows.ends[-1] - fold * length
        part = Split(
            train=_between(windows, None, start),
            validation=_between(windows, start, start),
            test=_between(windows, start, start + length),
        )
        if not len(part.train) or not len(part.test):
            raise DataError(
                f"{len(windows)} windows are too few for {folds} folds of {size} intervals; "
                "ask for fewer or shorter folds"
            )
        result.append(part)
    return tuple(result)


def _between(windows: Windows, start: pd.Timestamp | None, stop: pd.Timestamp) -> Windows:
    """Return the windows whose targets all lie in [start, stop) and were observed."""
    keep = (windows.ends <= stop) & windows.complete
    if start is not None:
        keep &= windows.times >= start
    return windows.take(np.asarray(keep))
