"""Inputs that nobody means well with: any bytes and text, and valid ones with a part changed."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable
from typing import Any

import pandas as pd
from hypothesis import strategies as st

from models import checkpoint
from models.config import ForecasterConfig
from models.forecasters import new

MARKER = "7654321"
"""A count that no message may quote."""


PIECES = [
    b",",
    b"\n",
    b'"',
    b"\x00",
    b"NaN",
    b"1e999",
    b"-1",
    MARKER.encode(),
    b";",
    b"\xff\xfe",
    b"2024-13-45",
    b"9" * 40,
    b"inf",
    b"",
    b"=",
    b"[",
    b"'",
]


BATCH = 50
"""Inputs from one of hypothesis's examples, whose making would otherwise take most of the time."""


def batched(make: Callable[[random.Random], Any]) -> st.SearchStrategy[list[Any]]:
    """Inputs from random numbers that hypothesis seeds."""

    def made(number: int) -> list[Any]:
        chance = random.Random(number)
        return [make(chance) for _ in range(BATCH)]

    return st.integers(0, 2**63).map(made)


def changed(valid: list[bytes]) -> Callable[[random.Random], bytes]:
    """Valid bytes with pieces changed, cut out, doubled or put in; now and then any bytes."""

    def made(chance: random.Random) -> bytes:
        if chance.random() < 0.1:
            return chance.randbytes(chance.randrange(300))
        content = bytearray(chance.choice(valid))
        for _ in range(chance.randrange(5)):
            at = chance.randrange(len(content) + 1)
            end = min(len(content), at + chance.randrange(13))
            some = chance.randbytes(chance.randrange(9))
            content[at:end] = chance.choice(
                [some, chance.choice(PIECES), bytes(content[at:end]) * 2]
            )
        if chance.random() < 0.25:
            del content[chance.randrange(len(content) + 1) :]
        return bytes(content)

    return made


def text(chance: random.Random) -> str:
    """Any characters: plain, separators, and all of Unicode."""
    kinds = ["abcdefgh 0123", "./#:=;,\"'\\\n\t\x00-[]{}%$@", "".join(map(chr, range(160, 1000)))]
    wild = [chr(chance.choice([0x1F600, 0xFFFD, 0x202E, 0x10FFFF])) for _ in range(2)]
    letters = chance.choice(kinds) + "".join(wild)
    return "".join(chance.choice(letters) for _ in range(chance.randrange(20)))


def frame() -> pd.DataFrame:
    times = pd.date_range("2024-01-01", periods=20, freq="2h", name="time")
    return pd.DataFrame({"north": [int(MARKER) + i for i in range(20)], "south": 5}, times)


def csvs() -> list[bytes]:
    wide = frame().to_csv()
    long = (
        frame()
        .reset_index()
        .melt("time", var_name="region", value_name="count")
        .to_csv(index=False)
    )
    return [wide.encode(), long.encode(), wide.replace(",", ";").encode(), wide.encode("utf-16")]


def parquets() -> list[bytes]:
    made = []
    for table in (frame(), frame().reset_index(), frame().astype(str), frame().astype("category")):
        buffer = io.BytesIO()
        table.to_parquet(buffer, compression="none")
        made.append(buffer.getvalue())
    return made


def checkpoints() -> list[bytes]:
    config = ForecasterConfig(model="gru", hidden=2, regions=("a", "b"), lags=2)
    return [checkpoint.packed(new(config, seed=0), {"seasonal": [], "release": None})]


TEXT = st.text(max_size=30)
NAMES = st.sampled_from(
    ["time", "region", "count", "north", "x; DROP TABLE t", 'a"b', "a.b", "../x", ""]
)
CELLS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    TEXT,
    st.binary(max_size=6),
    st.just("2024-01-01 00:00"),
    st.just(MARKER),
)
FIELDS = [
    "source.name",
    "source.persons",
    "source.max_gap",
    "privacy.mechanism",
    "privacy.unit",
    "privacy.epsilon",
    "privacy.delta",
    "privacy.weight",
    "windows.lags",
    "windows.seasonal",
    "windows.test",
    "windows.horizon",
    "model.name",
    "model.hidden",
    "model.members",
    "training.optimizer",
    "training.epochs",
    "training.batch_size",
    "training.base_batch",
    "training.learning_rate",
    "training.seed",
    "training.device",
    "model.ghost",
    "x.y",
    "source",
]
VALUES = [
    "true",
    "[]",
    '["1d"]',
    "{}",
    "gradient",
    "user",
    "interval-0",
    "interval-99999999999",
    "nan",
    "-inf",
    "0d",
    "1e309",
    "2024-01-01",
    "bigru",
    "blend",
    "tract",
    "0",
    "-1",
    "3",
    "0.5",
    "1e-400",
    "99999999999999999999",
    '"7d"',
    "[[[[",
    '["a", 1]',
]


def setting(chance: random.Random) -> list[str]:
    """Up to four of `--set`, known or not."""
    return [
        f"{chance.choice(FIELDS) if chance.random() < 0.9 else text(chance)}="
        f"{chance.choice(VALUES) if chance.random() < 0.8 else text(chance)}"
        for _ in range(chance.randrange(5))
    ]


def word(chance: random.Random) -> str:
    """A source, a unit, a span: what is typed where a word is asked for."""
    starts = [
        "synthetic:",
        "sqlite:///",
        "postgresql://u:p@127.0.0.1:1/",
        "interval-",
        "",
        "/",
        "../",
    ]
    some = ["days=1", "days=1,persons=3", "days=-1", "seed=x", "a#b", "1", "9" * 12]
    ends = ["", "#t", "#", ".csv", ".parquet", ".csv.gz", "1d", "\x00.csv"]
    middle = chance.choice(some) if chance.random() < 0.5 else text(chance)
    return f"{chance.choice(starts)}{middle}{chance.choice(ends)}"


def number(chance: random.Random) -> tuple[float, float]:
    """Any two doubles."""
    first, second = struct.unpack("dd", chance.randbytes(16))
    near = [0.0, 1.0, -1.0, 1e-300, 5e-324, 1e308, float("inf"), float("nan"), 0.5]
    return (chance.choice([first, *near]), chance.choice([second, *near]))


RECIPES = [
    b'[source]\nname = "synthetic"\n[privacy]\nepsilon = 1.0\nunit = "user-day"\n',
    b'[windows]\nseasonal = ["1d"]\nlags = 3\n[model]\nname = "blend"\nmembers = ["trees"]\n',
    b'[privacy]\nmechanism = "gradient"\nunit = "interval-1"\n[training]\nbatch_size = 64\n',
]
