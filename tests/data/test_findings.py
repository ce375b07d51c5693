"""What findings are read off: public structure, the domain of counts, or the counts themselves."""

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import raw_rules, rules
from data.findings import RULES, Finding
from data.sources import Table
from data.validate import findings, to_panel

TIMES = pd.date_range("2024-01-01", periods=1100, freq="30min")
COUNTS = st.sampled_from([0, 1, 7, 10**6]) | st.integers(0, 10**9)


def named(module: object) -> set[str]:
    """Rules that a module's findings can have: first arguments, and keys of its table of cell rules."""
    tree = ast.parse(Path(module.__file__).read_text())  # type: ignore[attr-defined]
    found = {
        str(call.args[0].value)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Finding"
        if isinstance(call.args[0], ast.Constant)
    }
    return found | set(getattr(module, "_CELL_RULES", ()))


def test_every_rule_says_what_it_reads() -> None:
    raw = named(raw_rules)
    assert {RULES[name] for name in raw} == {"values"}
    assert {RULES[name] for name in named(rules)} == {"structure", "domain"}
    assert raw | named(rules) == set(RULES)
    with pytest.raises(ValueError, match="does not say what it reads"):
        Finding("even-region", "note", "all counts are even", "none")
    with pytest.raises(ValueError, match="only an error may"):
        Finding("negative-count", "note", "is negative", "none")


@st.composite
def tables(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two tables of the same structure whose counts have nothing to do with each other."""
    width = draw(st.integers(1, 3))
    rows = draw(st.sampled_from([range(900), range(1100), [*range(500), *range(560, 900)]]))
    times = TIMES[list(rows)]
    made = []
    for _ in range(2):
        few = draw(st.lists(COUNTS, min_size=1, max_size=7))
        counts = np.resize(np.array(few, dtype=float), (len(times), width))
        counts[13] = np.nan  # an interval that was not observed
        made.append(pd.DataFrame(counts, columns=list("abc")[:width]).assign(time=times))
    return made[0][["time", *"abc"[:width]]], made[1][["time", *"abc"[:width]]]


@settings(deadline=None, max_examples=40)
@given(tables())
def test_what_a_run_may_tell_does_not_depend_on_any_count(
    both: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    one, other = (findings(Table(frame, "x")) for frame in both)
    assert one == other
    assert {finding.reads for finding in one} <= {"structure"}


def test_a_refusal_depends_on_nothing_but_what_is_no_count() -> None:
    said = []
    for size in (3, 10**6):
        frame = pd.DataFrame({"time": TIMES, "a": float(size), "b": 2.0 * size})
        frame.loc[5, "a"], frame.loc[9, "b"] = -1, 0.5
        said.append([str(one) for one in findings(Table(frame, "x"))])
    assert said[0] == said[1]


def test_one_person_makes_a_finding_come_and_go_only_where_it_is_asked_for() -> None:
    frame = pd.DataFrame({"time": TIMES, "a": 4.0, "b": np.arange(len(TIMES)) % 3 * 1.0})
    more = frame.copy()
    more.loc[100, "a"] = 5.0
    quiet = [to_panel(Table(one, "x"))[1] for one in (frame, more)]
    assert quiet[0] == quiet[1]
    asked = [
        {one.rule for one in to_panel(Table(one, "x"), values=True)[1]} for one in (frame, more)
    ]
    assert asked[0] - asked[1] == {"constant-region"}
