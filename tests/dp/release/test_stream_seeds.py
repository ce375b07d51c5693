"""Seeds of groups: kept while a group lives, whoever dies meanwhile, and then destroyed."""

from __future__ import annotations

import os
import signal
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text

from dp.composition.total import OFFSETS
from dp.errors import LedgerError, ReleaseLostError, SeedGoneError
from dp.ledger import local_secret, verify
from dp.mechanisms.kept_offsets import offsets_of, unseal
from dp.mechanisms.offset_noise import OffsetNoise
from dp.release.stream_groups import lost_spans
from tests.dp.release.city_stream import (
    Stream,
    counts,
)


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    return Stream(f"sqlite:///{tmp_path / 'ledger.db'}", tmp_path)


def test_the_seed_is_destroyed_with_its_group(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    stream = Stream(f"sqlite:///{file}", tmp_path)
    stream.release(counts("2024-01-02", 2))
    first = stream.ledger.seed(stream.entries[0])
    assert first is not None
    assert first in file.read_bytes()
    stream.release(counts("2024-01-03", 2))  # a later group
    second = stream.ledger.seed(stream.entries[-1])
    assert second is not None
    assert first not in file.read_bytes()
    assert second in file.read_bytes()
    stream.release(counts("2024-01-03 04:00", 10))  # until the last interval
    assert stream.ledger.seeds_kept() == ()
    assert second not in file.read_bytes()
    assert not any(one.name.startswith("ledger.db-") for one in tmp_path.iterdir())


def test_the_database_alone_does_not_give_the_offsets(stream: Stream) -> None:
    stream.release(counts("2024-01-02", 2))
    sealed = stream.ledger.seed(stream.entries[0])
    assert sealed is not None
    assert isinstance(stream.noise, OffsetNoise)
    ours = offsets_of(stream.noise, unseal(sealed, stream.secret))
    for guess in (b"", bytes(32), sealed):
        assert not np.array_equal(offsets_of(stream.noise, unseal(sealed, guess)), ours)
    seed = unseal(sealed, stream.secret).value
    assert seed.hex() not in str(stream.entries)
    assert sealed.hex() not in str(stream.entries)
    with stream.ledger.database.reading() as session:
        bodies = "".join(session.execute(text("SELECT body FROM ledger_log")).scalars())
    for secret in (seed, sealed):
        assert secret.hex() not in bodies


def test_without_its_seed_a_group_is_closed(stream: Stream) -> None:
    stream.release(counts("2024-01-02", 2))
    with stream.ledger.database.writing() as session:
        session.execute(text("DELETE FROM ledger_seeds"))
    lines = verify(stream.ledger).lines
    with pytest.raises(SeedGoneError, match="are not kept any more"):
        stream.release(counts("2024-01-02 04:00", 2))
    assert verify(stream.ledger).lines == lines
    stream.release(counts("2024-01-03", 2))  # the next group has its own


def test_another_secret_draws_no_other_offsets(stream: Stream, tmp_path: Path) -> None:
    stream.release(counts("2024-01-02", 2))
    stream.secret = local_secret(tmp_path / "another")
    with pytest.raises(SeedGoneError, match="another one"):
        stream.release(counts("2024-01-02 04:00", 2))
    assert len(stream.entries) == 1


def _dies(stream: Stream, frame: pd.DataFrame, step: str, *, after: bool) -> None:
    child = os.fork()
    if child == 0:
        try:
            work = getattr(stream.ledger, step)

            def dying(*arguments: object, **options: object) -> object:
                if after:
                    work(*arguments, **options)
                os.kill(os.getpid(), signal.SIGKILL)
                return None

            setattr(stream.ledger, step, dying)
            stream.release(frame)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


@pytest.mark.parametrize("begun", [False, True], ids=["first", "further"])
@pytest.mark.parametrize(
    ("step", "after"),
    [(step, after) for step in ("reserve", "commit", "release") for after in (False, True)],
)
def test_killed_at_any_step(url: str, tmp_path: Path, step: str, after: bool, begun: bool) -> None:
    stream = Stream(url, tmp_path)
    if begun:
        stream.release(counts("2024-01-02", 1))
    frame = counts("2024-01-02 02:00", 2)
    _dies(stream, frame, step, after=after)
    drawn = (step, after) in {("commit", True), ("release", False)}
    if drawn:  # noise may have been drawn: never again, and the group goes on without them
        with pytest.raises(ReleaseLostError):
            stream.release(frame)
        assert lost_spans(stream.entries) == [(datetime(2024, 1, 2, 2), datetime(2024, 1, 2, 6))]
        with pytest.raises(LedgerError, match="has intervals of it already"):
            stream.release(counts("2024-01-02 02:00", 4))
    else:
        pd.testing.assert_frame_equal(stream.release(frame), stream.release(frame))
    stream.release(counts("2024-01-02 06:00", 2))
    assert 0.999 < stream.spent() <= 1.0
    groups = [entry for entry in stream.entries if entry.event["mechanism"] == OFFSETS]
    assert len(groups) == 1
    assert stream.ledger.seeds_kept() == (groups[0].id,)
    assert verify(stream.ledger).holds
    stream.release(counts("2024-01-03", 12))
    assert stream.ledger.seeds_kept() == ()
