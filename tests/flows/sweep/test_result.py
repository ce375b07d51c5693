"""Results of sweeps: rows name their line, trainings are kept without loss, documents have no holes."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given, settings

from flows.pipeline.evaluate import NOT_PRIVATE
from flows.pipeline.result import RunResult
from flows.sweep.cost import Announcement
from flows.sweep.result import Row, SweepResult, Trained
from flows.tracking import Record
from tests.flows.pipeline.test_result import results


def row(optimizer: str | None) -> Row:
    return Row("input", "user", 1.0, "ridge", optimizer, 1.0, 1e-7, "add", None, 5.0, None, 1, {})


def test_a_point_is_on_the_line_of_its_mechanism_model_and_optimizer() -> None:
    assert row(None).compared == "input ridge"
    assert row("adam").compared == "input ridge adam"


@settings(deadline=None)  # values are drawn slowly on a busy machine
@given(result=results)
def test_a_training_is_read_as_it_was_kept(result: RunResult) -> None:
    trained = Trained(
        result, Record("a", {"lags": 6}, {"rmse": 1.0}, {"unit": None}), Path("/files")
    )
    assert Trained.from_dict(json.loads(json.dumps(trained.to_dict()))) == trained


@settings(deadline=None)  # values are drawn slowly on a busy machine
@given(result=results)
def test_the_document_of_a_sweep_has_points_rows_and_paths(result: RunResult) -> None:
    sweep = SweepResult(
        "ab12",
        Announcement(1, 1, 0),
        (("input ridge", result),),
        (row(None),),
        NOT_PRIVATE,
        {"frontier": "sweep.html"},
    )
    document = json.loads(json.dumps(sweep.to_dict()))
    assert document["points"][0]["point"] == "input ridge"
    assert document["table"][0]["rmse"] == 5.0
    assert (document["total"]["trainings"], document["frontier"]) == (1, "sweep.html")
