"""Files as newcomers bring them: what is wrong is told so that it can be mended; no cell is quoted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data import load
from data.errors import DataError
from data.findings import lines
from data.sources import read
from data.validate import findings


def good() -> pd.DataFrame:
    times = pd.date_range("2024-02-01", periods=40 * 48, freq="30min", name="time")
    counts = np.random.default_rng(0).integers(1_000, 9_999, (len(times), 3))
    return pd.DataFrame(counts, times, ["north", "south", "harbour"]).reset_index()


def told(path: Path) -> str:
    with pytest.raises(DataError) as error:
        load.from_csv(path)
    return str(error.value)


def test_two_faults_are_told_at_once(tmp_path: Path) -> None:
    table = good()
    table.loc[200, "north"] = -7654
    path = tmp_path / "counts.csv"
    pd.concat([table.iloc[:100], table.iloc[99:]]).to_csv(path, index=False)
    said = told(path)
    assert "negative-count: column 'north' is negative in 1 rows (row 201, from 0)" in said
    assert "duplicate-time" in said
    assert "counted below the header" in said
    assert "clocks" not in said  # a Saturday in February is no such night
    assert "7654" not in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"index": True}, "column 1 of 5 has no name"),
        ({"index": False, "header": False}, "begin with a header line"),
        ({"index": False, "header": ["time", "a", "a", "b"]}, "2 columns are called 'a'"),
        ({"index": False, "encoding": "utf-16"}, "as UTF-8"),
    ],
)
def test_headers_that_are_none(tmp_path: Path, options: dict[str, object], said: str) -> None:
    path = tmp_path / "counts.csv"
    good().to_csv(path, **options)  # type: ignore[call-overload]
    assert said in told(path)


@pytest.mark.parametrize("form", ["{:,}", "{},0", "{},5"])
def test_numbers_with_commas_are_named_as_such(tmp_path: Path, form: str) -> None:
    path = tmp_path / "counts.csv"
    table = good()
    table.assign(north=table["north"].map(form.format)).to_csv(path, index=False, sep=";")
    assert "without commas or points: 1234, not 1,234 or 1234,0" in told(path)
    table.assign(north="closed").to_csv(path, index=False, sep=";")
    assert "Fix: correct or remove these cells" in told(path)


def test_decimal_commas_between_commas(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("time,a,b\n2024-01-01 00:00,1,0,2,0\n")
    assert "write whole numbers without commas" in told(path)


def test_what_is_usual_in_files_is_read(tmp_path: Path) -> None:
    table = good()
    for name, options in {"bom": {"encoding": "utf-8-sig"}, "semicolons": {"sep": ";"}}.items():
        path = tmp_path / f"{name}.csv"
        table.to_csv(path, index=False, **options)  # type: ignore[call-overload]
        assert load.from_csv(path).regions == ("north", "south", "harbour")


def test_one_fault_in_a_thousand_columns_is_found_without_a_thousand_schemas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from data import rules

    looked: list[str] = []
    schema = rules._column_schema

    def noted(name: str, empty: Any) -> Any:
        looked.append(name)
        return schema(name, empty)

    monkeypatch.setattr(rules, "_column_schema", noted)
    times = pd.date_range("2024-02-01", periods=1_000, freq="1h", name="time")
    wide = pd.DataFrame(1, times, [f"z{number}" for number in range(1_000)])
    wide.loc[times[3], "z5"] = -1
    path = tmp_path / "wide.csv"
    wide.to_csv(path)
    found = [one for one in findings(read(str(path))) if one.severity == "error"]
    assert [(one.rule, one.column, one.rows) for one in found] == [("negative-count", "z5", (3,))]
    assert looked == ["z5"]


def test_the_same_fault_in_many_columns_is_told_a_few_times(tmp_path: Path) -> None:
    times = pd.date_range("2024-02-01", periods=1_000, freq="1h", name="time")
    path = tmp_path / "wide.csv"
    pd.DataFrame(-1, times, [f"z{number}" for number in range(40)]).to_csv(path)
    found = [one for one in findings(read(str(path))) if one.severity == "error"]
    assert len(found) == 40
    assert len(lines(found)) == 6
    assert lines(found)[-1] == "negative-count: the same in 35 more columns"
