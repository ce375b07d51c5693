"""Findings: what is wrong or odd about a table, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Severity = Literal["error", "warning", "note"]
Reads = Literal["structure", "domain", "values"]
_SHOWN = 5

RULES: dict[str, Reads] = {
    "unparsed-time": "structure",
    "duplicate-time": "structure",
    "unsorted-time": "structure",
    "time-zone": "structure",
    "dst": "structure",
    "mixed-intervals": "structure",
    "missing-intervals": "structure",
    "no-counts": "structure",
    "too-short": "structure",
    "one-region": "structure",
    "text-in-count": "domain",
    "nan-count": "domain",
    "infinite-count": "domain",
    "negative-count": "domain",
    "non-integer-count": "domain",
    "constant-region": "values",
    "nested-regions": "values",
}
"""What each rule reads, and so what its findings may be shown to.

`structure`: which intervals were observed, in which regions, what is declared. This is public.
`domain`: whether a cell holds a count of persons at all. A table in which one does not is refused; it
is in neither of two neighbouring data sets, so that the refusal tells them apart from nothing.
`values`: the counts themselves. One person can make such a finding come or go.
"""


@dataclass(frozen=True)
class Finding:
    """One finding. It names places and never quotes a count.

    Attributes:
        rule: name of the rule.
        severity: an error stops the run, a warning changes what it is worth, a note informs.
        column: the column, where it is about one.
        rows: the first few rows concerned, counted from 0 below the header.
        count: how many rows are concerned.
        message: what is so.
        fix: what to do.
    """

    rule: str
    severity: Severity
    message: str
    fix: str
    column: str | None = None
    rows: tuple[int, ...] = ()
    count: int = 0

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"rule {self.rule!r} does not say what it reads (data.findings.RULES)")
        if self.reads == "domain" and self.severity != "error":
            raise ValueError(f"rule {self.rule!r} reads the domain, which only an error may")

    @property
    def reads(self) -> Reads:
        """What its rule reads: `structure`, `domain` or `values`."""
        return RULES[self.rule]

    def __str__(self) -> str:
        """The finding on one line."""
        column = "" if self.column is None else f" column {self.column!r}"
        more = ", …" if self.count > len(self.rows) else ""
        word = "row" if len(self.rows) == 1 and not more else "rows"
        rows = f" ({word} {', '.join(map(str, self.rows))}{more}, from 0)" if self.rows else ""
        return f"{self.rule}:{column} {self.message}{rows}. Fix: {self.fix}."


def lines(found: Sequence[Finding]) -> list[str]:
    """Findings as lines; where one rule is broken by many columns the first few stand for all."""
    shown: list[str] = []
    for rule, group in groupby(found, key=lambda one: (one.severity, one.rule)):
        several = list(group)
        shown += [str(one) for one in several[:_SHOWN]]
        if len(several) > _SHOWN:
            shown.append(f"{rule[1]}: the same in {len(several) - _SHOWN} more columns")
    return shown


def first_rows(mask: NDArray[np.bool_]) -> tuple[tuple[int, ...], int]:
    """Positions of the first few rows of a mask, and how many there are."""
    found = np.flatnonzero(mask)
    return tuple(int(row) for row in found[:_SHOWN]), len(found)
