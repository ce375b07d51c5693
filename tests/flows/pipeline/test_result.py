"""Results are written and read without loss, and say nothing of what was not recorded."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.pipeline.result import (
    BaselineErrors,
    EpochCount,
    LedgerRecord,
    Metric,
    RunResult,
    ScoredPeriod,
)

number = st.none() | st.floats(0, 1e6)
metrics = st.builds(Metric, number, st.dictionaries(st.sampled_from(["north", "south"]), number))
errors = st.none() | st.builds(BaselineErrors, metrics, metrics)
ledgers = st.none() | st.builds(
    LedgerRecord,
    st.integers(1, 9),
    st.just("ab12"),
    st.just("counts"),
    st.just("panel"),
    st.just("user"),
    number,
    number,
    st.just("add or remove the records of one unit"),
)
results = st.builds(
    RunResult,
    source=st.just("counts.csv"),
    model=st.sampled_from(["bigru", "ridge"]),
    optimizer=st.sampled_from(["adam", None]),
    mechanism=st.just("input"),
    unit=st.just("user"),
    epsilon=number,
    delta=number,
    neighbours=st.none(),
    epsilon_naive=number,
    sensitivity=number,
    sigma=number,
    seed=st.integers(0, 9),
    rmse=metrics,
    mae=metrics,
    smape=metrics,
    mase=metrics,
    coverage=st.dictionaries(st.sampled_from(["0.5", "0.9"]), st.floats(0, 1)),
    baselines=st.dictionaries(st.sampled_from(["persistence", "ridge"]), errors),
    evaluation=st.just("evaluated on raw data"),
    test=st.just(ScoredPeriod("2024-01-01 00:00:00", "2024-01-08 00:00:00", 7)),
    epochs=st.builds(EpochCount, st.integers(0, 9), st.integers(0, 9)),
    weight_distance=st.none() | st.just({"slope": 1.0, "r2": None}),
    seconds=st.floats(0, 9),
    statement=st.just({"text": "A promise."}),
    proof=st.none() | st.just({"holds": True}),
    ledger_entry=st.none() | st.integers(1, 9),
    ledger=ledgers,
    findings=st.lists(st.text(max_size=5)).map(tuple),
    run_id=st.sampled_from(["", "ab12"]),
)


@settings(deadline=None)  # values are drawn slowly on a busy machine
@given(result=results)
def test_a_result_is_read_as_it_was_written(result: RunResult) -> None:
    assert RunResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result


@settings(deadline=None)  # values are drawn slowly on a busy machine
@given(result=results)
def test_what_is_not_recorded_has_no_id_and_no_paths(result: RunResult) -> None:
    document = replace(result, run_id="").to_dict()
    assert not {"run_id", "report", "figure"} & set(document)
    recorded = replace(result, run_id="ab12", report="a.html", figure="a.png").to_dict()
    assert next(iter(recorded)) == "run_id"
    assert (recorded["report"], recorded["figure"]) == ("a.html", "a.png")


@settings(deadline=None)  # values are drawn slowly on a busy machine
@given(result=results)
def test_rivals_are_other_forecasts_that_apply(result: RunResult) -> None:
    assert result.model not in result.rivals
    assert None not in result.rivals.values()


@settings(deadline=None)  # values are drawn slowly on a busy machine
@given(result=results)
def test_a_field_of_another_version_is_left_out(result: RunResult) -> None:
    assert RunResult.from_dict({**result.to_dict(), "of a later version": 1}) == result


def test_nothing_is_computed_from_an_error_that_is_not_defined() -> None:
    assert Metric(2.5, {}).known_mean == 2.5
    with pytest.raises(ValueError, match="not defined"):
        _ = Metric(None, {}).known_mean
