"""Runs are filtered, compared and exported; a condition can read nothing but the runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows.errors import UsageError
from flows.tracking.run_table import compare, export, where


def run(number: int, **fields: Any) -> dict[str, Any]:
    usual = {"run_id": f"a{number:031x}", "unit": "user", "epsilon": 1.0, "rmse": 10.0, "mae": 5.0}
    return {**usual, **fields}


RUNS = [run(1), run(2, epsilon=2.0), run(3, unit="user-day"), run(4, unit=None, epsilon=None)]


def ids(runs: list[dict[str, Any]]) -> list[int]:
    return [int(str(one["run_id"])[1:], 16) for one in runs]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("unit='user' and epsilon<=1", [1]),
        ("epsilon <= 1", [1, 3]),
        ("epsilon is null", [4]),
        ("rmse > 100", []),
        ("unit like 'user%'", [1, 2, 3]),
    ],
)
def test_a_condition_keeps_the_order(condition: str, found: list[int]) -> None:
    assert ids(where(RUNS, condition)) == found


@pytest.mark.parametrize(
    "condition", ["nonsense =", "who = 'me'", "1=1; drop table runs", "epsilon in (select * from)"]
)
def test_a_condition_that_makes_no_sense_is_told(condition: str) -> None:
    with pytest.raises(UsageError, match="fields are run_id, unit"):
        where(RUNS, condition)


def test_a_condition_reads_no_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("x\n1\n")
    with pytest.raises(UsageError, match=r"(?i)permission|disabled"):
        where(RUNS, f"exists (select * from read_csv('{secret}'))")


def test_no_runs_meet_anything() -> None:
    assert where([], "epsilon < 1") == []


def test_two_runs_differ_where_they_do() -> None:
    found = compare(
        run(1), run(2, rmse=12.0), ({"model": "gru", "seed": "1"}, {"model": "lstm", "seed": "1"})
    )
    assert found["settings"] == {"model": ["gru", "lstm"]}
    assert found["errors"]["rmse"] == {"values": [10.0, 12.0], "ratio": pytest.approx(1.2)}
    assert found["errors"]["mae"]["ratio"] == 1.0


@pytest.mark.parametrize("kind", ["csv", "parquet", "json"])
def test_runs_are_exported(tmp_path: Path, kind: str) -> None:
    path = export(RUNS, tmp_path / f"runs.{kind}")
    if kind == "json":
        read = json.loads(path.read_text())
    else:
        reader = pd.read_csv if kind == "csv" else pd.read_parquet
        read = reader(path).to_dict("records")
    assert ids(read) == [1, 2, 3, 4]
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_an_export_that_cannot_be_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends with \.csv"):
        export(RUNS, tmp_path / "runs.xlsx")
    with pytest.raises(UsageError, match="no folder"):
        export(RUNS, tmp_path / "none" / "runs.csv")
