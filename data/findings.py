"""Findings: faults and oddities of a table, with their place and fix."""

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
"""The input of each rule, which decides where its findings may be shown.

`structure`: which intervals were observed, in which regions, what is declared. This is public.
`domain`: whether a cell holds a count of persons at all. A table with another cell is refused; it is not
part of any pair of neighbouring data sets, so that the refusal reveals nothing about a person.
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
        message: the fault or oddity.
        fix: how to correct it.
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
        """Kind of input that its rule reads: `structure`, `domain` or `values`."""
        return RULES[self.rule]

    def __str__(self) -> str:
        """Return the finding on one line."""
        column = "" if self.column is None else f" column {self.column!r}"
        more = ", …" if self.count > len(self.rows) else ""
        word = "row" if len(self.rows) == 1 and not more else "rows"
        rows = f" ({word} {', '.join(map(str, self.rows))}{more}, from 0)" if self.rows else ""
        return f"{self.rule}:{column} {self.message}{rows}. Fix: {self.fix}."


def lines(findings: Sequence[Finding]) -> list[str]:
    """Return findings as lines; the first few stand for a rule that many columns break."""
    shown: list[str] = []
    for rule, group in groupby(findings, key=lambda finding: (finding.severity, finding.rule)):
        several = list(group)
        shown += [str(finding) for finding in several[:_SHOWN]]
        if len(several) > _SHOWN:
            shown.append(f"{rule[1]}: the same in {len(several) - _SHOWN} more columns")
    return shown


def first_rows(mask: NDArray[np.bool_]) -> tuple[tuple[int, ...], int]:
    """Return the positions of the first few rows of a mask, and the number of all."""
    rows = np.flatnonzero(mask)
    return tuple(int(position) for position in rows[:_SHOWN]), len(rows)
