from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import BoundError, DataError
from data.sources import Table, read
from data.validate import findings, to_panel


def good(days: int = 36) -> pd.DataFrame:
    times = pd.date_range("2024-01-08", periods=days * 48, freq="30min")
    rng = np.random.default_rng(0)
    counts = rng.integers(100, 200, (len(times), 3))
    return pd.DataFrame(counts, columns=["a", "b", "c"]).assign(time=times)[["time", "a", "b", "c"]]


def table(frame: pd.DataFrame, **declared: Any) -> Table:
    return Table(frame, "my.csv", **declared)


def rules(frame: pd.DataFrame, **declared: int) -> dict[str, str]:
    return {one.rule: one.severity for one in findings(table(frame, **declared), values=True)}


def test_a_good_table_has_no_findings() -> None:
    assert rules(good()) == {}


def _set(frame: pd.DataFrame, row: int, column: str, value: object) -> pd.DataFrame:
    frame[column] = frame[column].astype(object)
    frame.loc[row, column] = value  # type: ignore[call-overload]
    return frame


BAD: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str, str, tuple[int, ...]]] = {
    # what is done to the table, rule, column, rows
    "text": (lambda f: _set(f, 7, "b", "many"), "text-in-count", "b", (7,)),
    "nan": (lambda f: _set(f, 9, "c", np.nan), "nan-count", "c", (9,)),
    "infinite": (lambda f: _set(f, 9, "c", np.inf), "infinite-count", "c", (9,)),
    "negative": (lambda f: _set(f, 11, "a", -98765), "negative-count", "a", (11,)),
    "fraction": (lambda f: _set(f, 11, "a", 98765.5), "non-integer-count", "a", (11,)),
    "duplicate": (lambda f: pd.concat([f, f.iloc[[5]]]), "duplicate-time", "time", (1728,)),
    "unparsed": (lambda f: _set(f, 3, "time", "noon"), "unparsed-time", "time", (3,)),
    "gap": (lambda f: f.drop(range(100, 200)), "missing-intervals", "time", (99,)),
    "mixed": (
        lambda f: pd.concat([f[:900], f[900::2]]),
        "mixed-intervals",
        "time",
        tuple(range(900, 905)),
    ),
    "shifted": (
        lambda f: f.assign(time=f["time"].mask(f.index == 40, f["time"] + pd.Timedelta("7min"))),
        "mixed-intervals",
        "time",
        (39, 40),
    ),
    "short": (lambda f: f[:900], "too-short", "time", ()),
    "one region": (lambda f: f[["time", "a"]], "one-region", "a", ()),
}


@pytest.mark.parametrize("fault", BAD)
def test_each_fault_is_found_named_and_refused(fault: str) -> None:
    spoil, rule, column, rows = BAD[fault]
    frame = spoil(good()).reset_index(drop=True)
    found = [one for one in findings(table(frame)) if one.rule == rule]
    assert [one.severity for one in found] == ["error"]
    assert found[0].column == column
    assert found[0].rows == rows
    with pytest.raises(DataError) as error:
        to_panel(table(frame))
    message = str(error.value)
    assert message.startswith("my.csv cannot be used")
    assert rule in message
    assert repr(column) in message
    assert "Fix: " in message
    assert "98765" not in message  # never a count


def test_short_gaps_are_left_open_for_later() -> None:
    panel, found = to_panel(table(good().drop(range(100, 140))))
    assert [(one.rule, one.severity, one.count) for one in found] == [
        ("missing-intervals", "warning", 40)
    ]
    assert np.isnan(panel.values[100:140]).all()
    assert panel.observed.sum() == len(good()) - 40
    assert rules(good().drop(range(100, 200)))["missing-intervals"] == "error"
    to_panel(table(good().drop(range(100, 200))), max_gap="3d")


def test_a_row_that_is_empty_throughout_is_a_missing_interval() -> None:
    frame = good().astype({"a": float, "b": float, "c": float})
    frame.loc[50, ["a", "b", "c"]] = np.nan
    panel, found = to_panel(table(frame))
    assert not panel.observed[50]
    assert not [one for one in found if one.severity == "error"]


def test_nested_regions_say_what_they_mean_for_m() -> None:
    frame = good()
    frame["a"] = frame["b"] + frame["c"] + 5
    [finding] = findings(table(frame), values=True)
    assert (finding.rule, finding.severity, finding.column) == ("nested-regions", "warning", "a")
    assert "M of at least 2" in finding.message
    assert rules(frame, regions_per_interval=2) == {"nested-regions": "note"}
    panel, _ = to_panel(table(frame))
    assert panel.regions_per_interval is None  # M is declared, never inferred


def test_regions_of_a_unit_are_carried_and_fit_the_panel() -> None:
    assert to_panel(table(good()))[0].regions_ever is None
    assert to_panel(table(good(), regions_ever=3))[0].regions_ever == 3
    with pytest.raises(
        BoundError, match=r"my\.csv: expected regions_ever=4 to be at most 3 regions"
    ):
        to_panel(table(good(), regions_ever=4))
    with pytest.raises(BoundError, match="regions_ever=1 to be at least 2"):
        to_panel(table(good(), regions_per_interval=2, regions_ever=1))


def test_constant_region_and_disorder() -> None:
    assert rules(good().assign(b=4)) == {"constant-region": "warning"}
    shuffled = good().sample(frac=1, random_state=0)
    assert rules(shuffled) == {"unsorted-time": "note"}
    assert to_panel(table(shuffled))[0].counts.equals(to_panel(table(good()))[0].counts)


def test_zones_become_utc() -> None:
    local = good()
    local["time"] = pd.date_range("2024-03-01", periods=len(local), freq="30min", tz="Europe/Paris")
    panel, found = to_panel(table(local))
    assert [one.rule for one in found] == ["time-zone"]
    assert panel.times.tz is None
    assert panel.times[0] == pd.Timestamp("2024-02-29 23:00")


def test_wall_clock_nights_are_explained() -> None:
    aware = pd.date_range("2024-10-01", periods=len(good()), freq="30min", tz="Europe/Paris")
    autumn = good().assign(time=aware.tz_localize(None))
    [error] = [one for one in findings(table(autumn)) if one.rule == "duplicate-time"]
    assert "clocks go back" in error.fix
    aware = pd.date_range("2024-03-11", periods=len(good()), freq="30min", tz="Europe/Paris")
    assert rules(good().assign(time=aware.tz_localize(None)))["dst"] == "warning"


def _csv(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("time,a,b\n", "has a header and no rows"),
        ("time a b\n2024-01-01 5 6\n", "no separator in the header 'time a b'"),
        ("when,a,b\n2024-01-01,5,6\n", "no time column among 'when', 'a', 'b'"),
        ("time,a,b\n2024-01-01,5,6\n2024-01-01,5,6,7\n", "line 3"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, text: str, said: str) -> None:
    path = _csv(tmp_path / "mine.csv", text)
    with pytest.raises(DataError, match=said) as error:
        to_panel(read(path))
    assert path in str(error.value)


def test_binary_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_bytes(b"\xff\xfe\x00,\x81")
    with pytest.raises(DataError, match="UTF-8"):
        read(str(tmp_path / "mine.csv"))
    (tmp_path / "mine.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="not a whole Parquet file"):
        read(str(tmp_path / "mine.parquet"))
    with pytest.raises(
        DataError, match=r"no file .*mine.csb?; did you mean .*mine.csv|did you mean"
    ):
        read(str(tmp_path / "mime.csv"))
    with pytest.raises(DataError, match="check the path"):
        read(str(tmp_path / "nowhere" / "quite-else.csv"))


@settings(max_examples=30, deadline=None)
@given(missing=st.sets(st.integers(1, 1726), max_size=40))
def test_a_panel_is_regular_whatever_is_missing(missing: set[int]) -> None:
    frame = good().drop(sorted(missing))
    panel, _ = to_panel(table(frame))
    assert len(panel.times) == 1728
    assert set(np.flatnonzero(~panel.observed)) == missing
    kept = panel.values[panel.observed]
    assert np.array_equal(kept, frame[["a", "b", "c"]].to_numpy(float))


@pytest.mark.parametrize("spoilt", [None, np.nan, np.inf, -1.0, 0.5])
def test_a_table_of_counts_alone_is_told_at_once_and_no_other_one_is(spoilt: float | None) -> None:
    """The short way agrees with the schema of each column."""
    from data import rules as every_rule

    frame = pd.DataFrame(np.arange(20.0).reshape(10, 2), columns=["a", "b"])
    frame.iloc[3] = np.nan  # an interval that was not observed
    if spoilt is not None:
        frame.iloc[5, 1] = spoilt
    assert every_rule._all_counts(frame) == (spoilt is None)
    assert bool(list(every_rule.cells(frame))) == (spoilt is not None)
    assert not every_rule._all_counts(frame.astype(str))
