"""Run sets: what they refuse, and the lengths of equal runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dp.unit.contribution import ContributionBound
from dp.unit.run_set import RunSet


@given(st.integers(1, 500), st.integers(1, 600))
def test_equal_runs_add_up_to_all_intervals(intervals: int, runs: int) -> None:
    lengths = RunSet(ContributionBound(intervals, 1), 3, runs).lengths
    assert sum(lengths) == intervals
    assert len(lengths) == min(runs, intervals)
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    ("bound", "regions", "runs", "message"),
    [
        (ContributionBound(48, 2), 6, 4, "one region at a time"),
        (ContributionBound(48, 1, 3), 6, 4, "count once"),
        (ContributionBound(48, 1), 0, 4, "regions=0"),
        (ContributionBound(48, 1), 6, 0, "runs=0"),
    ],
)
def test_what_runs_do_not_cover_is_refused(
    bound: ContributionBound, regions: int, runs: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        RunSet(bound, regions, runs)
