"""Sources that cannot be read: a DataError, never a crash, a count or a password."""

import gzip
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.errors import DataError
from data.sources import Table, check, read
from data.validate import findings, to_panel

SECRET = "hunter2"


def good(days: int = 36) -> pd.DataFrame:
    times = pd.date_range("2024-03-11", periods=days * 48, freq="30min", tz="UTC")
    counts = np.random.default_rng(0).integers(100, 200, (len(times), 2)).astype(float)
    return pd.DataFrame({"time": times, "a": counts[:, 0], "b": counts[:, 1]})


@pytest.mark.parametrize(("separator", "said"), [(",", "no time column"), (" ", "no separator")])
def test_a_file_without_a_header_does_not_show_its_counts(
    tmp_path: Path, separator: str, said: str
) -> None:
    path = tmp_path / "mine.csv"
    path.write_text((separator.join(["2024-01-01T00:00", "765432", "98765"]) + "\n") * 3)
    with pytest.raises(DataError, match=said) as error:
        read(str(path))
    assert "765432" not in str(error.value)
    assert "98765" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}@127.0.0.1:1/city#t",
        f"postgresql://127.0.0.1:1/city?password={SECRET}#t",
        f"postgresql://me:p@{SECRET}@127.0.0.1/city#t",
        f"postgresql://me:p@ss:{SECRET}@127.0.0.1/city#t",
        f"postgresql://me:{SECRET}@127.0.0.1:port/city#t",
        f"postgresql://me:1#{SECRET}@127.0.0.1/city",
    ],
)
def test_no_part_of_a_password_is_shown(url: str) -> None:
    with pytest.raises(DataError) as error:
        read(url)
    assert SECRET not in str(error.value)


def test_reading_an_absent_database_does_not_create_it(tmp_path: Path) -> None:
    path = tmp_path / "city.db"
    with pytest.raises(DataError, match="no such database file"):
        read(f"sqlite:///{path}#hourly")
    assert not path.exists()


@pytest.mark.parametrize("cut", [30, 200])
def test_half_a_gzip_file(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "mine.csv.gz"
    path.write_bytes(gzip.compress(good().to_csv(index=False).encode())[:cut])
    with pytest.raises(DataError, match="cannot be read as text"):
        read(str(path))


def test_endings_may_be_in_capitals(tmp_path: Path) -> None:
    good().to_csv(tmp_path / "MINE.CSV", index=False)
    assert len(read(str(tmp_path / "MINE.CSV")).frame) == len(good())


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(DataError, match="seed=-1"):
        read("synthetic:days=1,seed=-1")


def test_offsets_that_change_over_the_night_the_clocks_change(tmp_path: Path) -> None:
    # what the findings about a wall clock ask for: times with their offset
    frame = good()
    local = frame["time"].dt.tz_convert("Europe/Paris")
    assert len({moment.utcoffset() for moment in local}) == 2
    path = tmp_path / "mine.csv"
    frame.assign(time=[moment.isoformat() for moment in local]).to_csv(path, index=False)
    panel, found = to_panel(read(str(path)))
    assert [one.rule for one in found] == ["time-zone"]
    assert panel.times.equals(pd.DatetimeIndex(frame["time"].dt.tz_localize(None), name="time"))


# Rows without a count


def test_empty_rows_are_held_to_the_longest_gap_like_absent_rows() -> None:
    frame = good()
    frame.loc[100:199, ["a", "b"]] = np.nan
    empty, absent = Table(frame, "x"), Table(frame.drop(range(100, 200)), "x")
    assert [str(one) for one in findings(empty)] == [str(one) for one in findings(absent)]
    with pytest.raises(DataError, match=r"missing-intervals.*100 intervals"):
        to_panel(empty)
    panel, _ = to_panel(empty, max_gap="3d")
    pd.testing.assert_frame_equal(panel.counts, to_panel(absent, max_gap="3d")[0].counts)


def test_empty_rows_at_the_end_are_not_in_the_panel() -> None:
    frame = good(days=40)
    frame.loc[len(frame) - 48 :, ["a", "b"]] = np.nan
    panel, _ = to_panel(Table(frame, "x"))
    assert panel.observed.all()
    assert len(panel.times) == len(frame) - 48


def test_rows_of_a_gap_are_those_of_the_table_and_not_of_the_sorted_one() -> None:
    frame = good().drop(range(100, 120)).iloc[::-1].reset_index(drop=True)
    before = good()["time"][99]
    [gap] = [one for one in findings(Table(frame, "x")) if one.rule == "missing-intervals"]
    assert [frame["time"][row] for row in gap.rows] == [before]


@pytest.mark.parametrize("rows", [0, 5])
def test_a_table_without_a_count(rows: int) -> None:
    frame = good()[:rows].assign(a=np.nan, b=np.nan)
    with pytest.raises(DataError, match="no-counts"):
        to_panel(Table(frame, "x"))


def test_moments_are_no_counts() -> None:
    frame = good().assign(a=good()["time"])
    with pytest.raises(DataError, match="text-in-count: column 'a'"):
        to_panel(Table(frame, "x"))


# Found by throwing changed files at the readers (benchmarks/fuzz.py)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('time,"a,b\n2024-01-01,7654321\n2024-01-02,7654322"\n1,2\n', "goes over several lines"),
        ('time,region,count\n2024-01-01,"a,7654321\n2024-01-02,a",7654322\n', "goes over several"),
        ("time;a\n2024-01-01;7654321;5\n2024-01-02;7654322;5\n", "more fields than the header"),
        ("time,region,count\n2024-01-01,a,1\n2024-01-01,7654321,\n", "numbers in 1 of 2 rows"),
        ("time,a,b2024-01-01,7654321,5\n2024-01-02,1,2\n", "2 of 4 columns hold no count"),
    ],
)
def test_rows_out_of_place_show_no_count(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=said) as error:
        read(str(path))
    assert "765432" not in str(error.value)


def test_times_that_are_missing_twice_are_found_by_the_validation(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("time,region,count\n,a,1\n,a,2\n2024-01-01,a,3\n")
    assert "unparsed-time" in {one.rule for one in findings(read(str(path)))}


def test_moments_of_another_age_are_no_times(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    far = pd.Series(np.array(["2024-01-01", "24000-01-01"], dtype="datetime64[s]"))
    pd.DataFrame({"time": far, "a": [1, 2], "b": [3, 4]}).to_parquet(path)
    with pytest.raises(DataError, match="1 of 2 rows hold no date and time of the years 1900"):
        to_panel(read(str(path)))


def test_a_parquet_file_with_damaged_metadata_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    good().to_parquet(path)
    path.write_bytes(path.read_bytes().replace(b'"pandas_version"', b'"pandas\x00version"'))
    path.write_bytes(path.read_bytes().replace(b'{"index_columns"', b'{\x01index_columns"'))
    with pytest.raises(DataError, match="not a whole Parquet file"):
        read(str(path))


def test_a_table_without_a_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "city.db"
    path.touch()
    with pytest.raises(DataError, match="no table is named"):
        read(f"sqlite:///{path}#")


def test_a_count_that_ran_into_its_region_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    times = pd.date_range("2024-03-11", periods=100, freq="30min")
    rows = [f"{time},{region},{100 + at}" for at, time in enumerate(times) for region in "ab"]
    rows[7] = f"{times[3]},b765432"
    path.write_text("time,region,count\n" + "\n".join(rows) + "\n")
    with pytest.raises(DataError, match="1 of 200 rows name a region in column 'region'") as error:
        read(str(path))
    assert "765432" not in str(error.value)


def test_a_region_may_lack_a_count_here_and_there(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    times = pd.date_range("2024-03-11", periods=100, freq="30min")
    rows = [f"{time},{region},{100 + at}" for at, time in enumerate(times) for region in "ab"]
    rows[7] = f"{times[3]},b,"
    path.write_text("time,region,count\n" + "\n".join(rows) + "\n")
    table = read(str(path))
    assert sorted(table.frame.columns.drop("time")) == ["a", "b"]
    assert int(table.frame["b"].isna().sum()) == 1


@pytest.mark.parametrize("source", ["nowhere.csv", "nowhere.pq", ".", "x.doc", "sqlite:///a.db"])
def test_what_is_not_there_is_refused_alike_without_reading(source: str) -> None:
    with pytest.raises(DataError) as read_whole:
        read(source)
    with pytest.raises(DataError) as looked_at:
        check(source)
    assert str(looked_at.value) == str(read_whole.value)


def test_bytes_that_are_no_text_are_refused_as_a_count(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (time, north, south)")
        rows = [(f"2024-01-01 0{hour}:00", b"\xaei", 765432) for hour in range(3)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    with pytest.raises(DataError) as error:
        to_panel(read(f"sqlite:///{path}#t"))
    assert "765432" not in str(error.value)


def test_a_count_among_the_names_of_regions_is_told_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    lines = ["time,north,soutNaN01 00:00:00,7654321,5"]
    lines += [f"2024-01-01 0{hour}:00:00,7654322,5" for hour in range(8)]
    lines += ["2024-01-01 08:00:00,1,5-101-01 10:00:00,7654332,5"]
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"column 'no\. 3 after the time'") as error:
        to_panel(read(str(path)))
    assert "76543" not in str(error.value)


def test_regions_that_are_all_numbers_keep_their_names(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("time,75001,75002\n2024-01-01 00:00:00,1,x\n2024-01-01 01:00:00,1,2\n")
    with pytest.raises(DataError, match=r"text-in-count: column '75002'"):
        to_panel(read(str(path)))


def test_damaged_text_in_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    times = [f"2024-01-01 0{hour}:00" for hour in range(9)]
    frame = pd.DataFrame(
        {"time": times, "north": [f"76543{hour}" for hour in range(9)], "south": 5}
    )
    frame.to_parquet(path, compression=None)
    content = path.read_bytes()
    assert content.count(b"765434") >= 1
    path.write_bytes(content.replace(b"765434", b"76\x9e434"))
    with pytest.raises(DataError, match="is not a whole Parquet file"):
        to_panel(read(str(path)))
