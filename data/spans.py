"""Lengths of time in text form, such as `7d`."""

from __future__ import annotations

import re

import pandas as pd

DAY = pd.Timedelta(days=1)
WEEK = pd.Timedelta(days=7)


def to_span(text: str) -> pd.Timedelta:
    """Parse a length of time such as `7d`, `12h`, `30min` or `1h30min`.

    Raises:
        ValueError: it is not a length of time.
    """
    try:
        span = pd.Timedelta(re.sub(r"(?<=\d)\s*d\b", "D", text))  # pandas wants a capital D
        if span >= pd.Timedelta(0):  # not so for "NaT"
            return span
    except ValueError:
        pass
    raise ValueError(f"{text!r} is not a length of time; write for instance 7d, 12h or 30min")
