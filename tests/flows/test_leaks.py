"""Planted counts are looked for wherever anything is kept or said, under both mechanisms."""

import io
import json
import logging
import re
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from typer.testing import CliRunner

from dp.ledger import Ledger
from flows.cli.app import app
from flows.settings import Home

BASE = 912_000_000
SMALL = ["--set", "windows.lags=2", "--set", "model.hidden=2", "--quiet", "--json"]
RUNS = {
    "input": ["--mechanism", "input", "--unit", "user-day", "--model", "ridge"],
    "gradient": [
        "--mechanism",
        "gradient",
        "--unit",
        "interval-1",
        "--set",
        "training.epochs=2",
        "--set",
        "training.batch_size=64",
    ],
}


def counts() -> pd.DataFrame:
    """Nine digits each, every one of them different: none can come about by chance."""
    times = pd.date_range("2024-01-01", periods=12 * 60, freq="2h", name="time")
    values = BASE + np.random.default_rng(3).permutation(999_999)[: 2 * len(times)]
    return pd.DataFrame(values.reshape(-1, 2), times, ["north", "south"])


FORMS = ("<i8", ">i8", "<f8", ">f8", "<i4", ">i4")
"""Every number that files keep: integers and floats, both byte orders."""


def opened(content: bytes) -> Iterator[bytes]:
    """A file's content, and that of what it is an archive or a table of."""
    yield content
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield archive.read(name)


def cells(database: Path) -> Iterator[bytes]:
    """Every cell of every table."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        names = [
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        for name in names:
            for row in connection.execute(f'SELECT * FROM "{name}"'):
                for cell in row:
                    yield from opened(cell if isinstance(cell, bytes) else str(cell).encode())


def _text(piece: bytes) -> bool:
    try:
        return "\0" not in piece.decode()
    except UnicodeDecodeError:
        return False


def found_in(pieces: Iterator[bytes]) -> set[int]:
    """Raw counts in pieces, as text or as any number at any place."""
    raw, seen = set(counts().to_numpy().ravel().tolist()), set()
    for piece in pieces:
        seen |= {int(text) for text in re.findall(rb"(?<![\d.])9[01]\d{7}(?!\d)", piece)}
        # four letters of a long text, read as a number, are some count by chance
        for form in () if _text(piece) else map(np.dtype, FORMS):
            for start in range(form.itemsize):
                room = (len(piece) - start) // form.itemsize
                if room > 0:
                    numbers = np.frombuffer(piece, form, room, start)
                    with np.errstate(invalid="ignore"):
                        numbers = numbers[(numbers >= BASE) & (numbers < BASE + 10**6)]
                    seen |= {int(number) for number in numbers if number == int(number)}
    return seen & raw


@pytest.mark.parametrize("mechanism", RUNS)
def test_no_planted_count_is_anywhere(
    home: Home, tmp_path: Path, mechanism: str, caplog: pytest.LogCaptureFixture
) -> None:
    csv = tmp_path / "counts.csv"
    counts().to_csv(csv)
    numbers = counts().to_numpy()
    for written in (csv.read_bytes(), numbers.tobytes(), numbers.astype(float).tobytes()):
        assert len(found_in(iter([b"x" + written]))) == counts().size  # it does find what is there
    caplog.set_level(logging.DEBUG)
    guarantee = ["--epsilon", 8, "--delta", 1e-6]
    arguments = ["train", "--source", csv, *guarantee, *RUNS[mechanism], *SMALL]
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    run = json.loads(result.stdout)["run_id"]
    said = [result.output, result.stderr, caplog.text]
    for command in (
        ["statement", run],
        ["runs"],
        ["budget", "export"],
        ["budget", "history"],
        ["check", str(csv)],
    ):
        said.append(CliRunner().invoke(app, command).output)
    assert found_in(text.encode() for text in said) == set()
    files = [path for path in home.root.rglob("*") if path.is_file()]
    assert any(path.suffix == ".safetensors" for path in files)
    for path in files:
        if path.suffix == ".db":
            # a kept release holds counts with noise, of which some is 0: it is looked at below
            assert found_in(cell for cell in cells(path) if not _kept(cell)) == set(), path
        elif path.suffix != ".png":  # pixels are compressed; what is drawn of them is tested apart
            assert found_in(opened(path.read_bytes())) == set(), path
    url = PREFECT_API_DATABASE_CONNECTION_URL.value()
    prefect = Path(str(url).partition("///")[2].partition("?")[0])
    assert prefect.is_file()
    assert found_in(cells(prefect)) == set()
    if mechanism == "input":
        (entry,) = Ledger(home.database_url).entries()
        table = pd.read_parquet(io.BytesIO(Ledger(home.database_url).released(entry.key)))
        assert np.array_equal(table, np.round(table))  # whole numbers: no rounding to tell anything
        added = (table.to_numpy() - counts().to_numpy()).ravel()
        sigma = json.loads(result.stdout)["sigma"]
        assert added.std() == pytest.approx(sigma, rel=0.1)


def _kept(cell: bytes) -> bool:
    return cell.startswith(b"PAR1")


BROKEN: dict[str, Any] = {
    "negative": lambda frame: frame.assign(north=-frame["north"]),
    "text": lambda frame: frame.assign(south=[f"{value}x" for value in frame["south"]]),
    "fraction": lambda frame: frame + 0.5,
    "twice": lambda frame: pd.concat([frame, frame.iloc[:9]]),
    "irregular": lambda frame: frame.drop(frame.index[[3, 4, 9, 40]]),
    "nothing but one region": lambda frame: frame[["north"]],
    "header lost": lambda frame: frame.set_axis([str(value) for value in frame.iloc[0]], axis=1),
    "short": lambda frame: frame.iloc[:30],
}


@pytest.mark.parametrize("fault", BROKEN)
def test_no_message_quotes_a_count(home: Home, tmp_path: Path, fault: str) -> None:
    csv = tmp_path / "counts.csv"
    BROKEN[fault](counts()).to_csv(csv, header=fault != "header lost")
    for command in (
        ["train", "--source", str(csv), "--unit", "user-day", *SMALL],
        ["check", str(csv)],
    ):
        result = CliRunner().invoke(app, command)
        told = f"{result.output}{result.stderr}{result.exception!r}".encode()
        assert found_in(iter([told])) == set()
