"""Pieces that cost nothing: only of what was charged, and only once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text

from dp.composition.total import PIECE
from dp.errors import LedgerError
from dp.ledger import Entry, groups, verify
from dp.mechanisms.offset_noise import OffsetNoise
from tests.dp.release.city_stream import (
    TWO_HOURS,
    Stream,
    counts,
)


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    return Stream(f"sqlite:///{tmp_path / 'ledger.db'}", tmp_path)


def further(city: Stream, frame: pd.DataFrame, **changed: object) -> Entry:
    """The charge of a piece that costs nothing, with fields of its event changed; reserved."""
    group = city.entries[0]
    panel = {
        **group.event["panel"],
        "piece": {
            "start": frame.index[0].isoformat(),
            "end": (frame.index[-1] + TWO_HOURS).isoformat(),
        },
    }
    panel |= {name: changed.pop(name) for name in ("stream", "columns") if name in changed}
    event = {**group.event, "mechanism": PIECE, "group": group.id, "panel": panel, **changed}
    return city.ledger.reserve(
        replace(group, key=f"further {len(city.entries)}", event=event, epsilon=0.0)
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sigma": 1.0}, "sigma differ"),
        ({"offset": 9.0}, "offset differ"),
        ({"cells": 99}, "cells differ"),
        ({"group": 999}, "charged no group"),
        ({"stream": "other"}, "stream differ"),
        ({"columns": "other"}, "columns differ"),
    ],
)
def test_a_piece_must_be_what_its_group_was_charged_for(
    stream: Stream, changed: dict[str, object], said: str
) -> None:
    stream.release(counts("2024-01-02", 2))
    lines = verify(stream.ledger).lines
    with pytest.raises(LedgerError, match=said):
        further(stream, counts("2024-01-02 04:00", 2), **changed)
    assert verify(stream.ledger).lines == lines
    further(stream, counts("2024-01-02 04:00", 2))


@pytest.mark.parametrize(
    ("start", "intervals", "said"),
    [
        ("2024-01-03", 2, "it was charged for 2024-01-02"),
        ("2024-01-02 22:00", 2, "it was charged for 2024-01-02"),
        ("2024-01-02 02:00", 2, "has intervals of it already"),
        ("2024-01-02 05:00", 1, "its intervals are others"),
    ],
)
def test_a_piece_must_lie_within_its_group_and_be_new(
    stream: Stream, start: str, intervals: int, said: str
) -> None:
    stream.release(counts("2024-01-02", 2))
    with pytest.raises(LedgerError, match=said):
        further(stream, counts(start, intervals))


def test_a_group_must_be_committed_before_its_pieces(stream: Stream) -> None:
    stream.release(counts("2024-01-02", 2))
    (group,) = stream.entries
    open_one = stream.ledger.reserve(
        replace(
            group,
            key="reserved",
            period=replace(group.period, start=datetime(2024, 1, 3), end=datetime(2024, 1, 4)),
        )
    )
    with pytest.raises(LedgerError, match="it is reserved, not committed"):
        further(stream, counts("2024-01-03", 2), group=open_one.id)


def test_the_permit_of_a_piece_draws_no_offsets_of_its_own(stream: Stream) -> None:
    stream.release(counts("2024-01-02", 2))
    assert isinstance(stream.noise, OffsetNoise)
    permit = stream.ledger.commit(further(stream, counts("2024-01-02 04:00", 2)))
    with pytest.raises(RuntimeError, match="another mechanism"):
        stream.noise.draw(counts("2024-01-02 04:00", 2).to_numpy(), permit)


def unchecked(*_: object) -> None:
    """In place of the check that pieces go through."""


def test_verify_sees_what_was_released_for_nothing(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.release(counts("2024-01-02", 2))
    stream.release(counts("2024-01-02 04:00", 2))
    assert verify(stream.ledger).holds
    monkeypatch.setattr(groups, "check", unchecked)
    for start, changed in (
        ("2024-01-03", {}),
        ("2024-01-02 06:00", {}),
        ("2024-01-02", {"group": 9}),
    ):
        stream.ledger.commit(further(stream, counts(start, 1), **changed))
    said = [what for _, what in verify(stream.ledger).broken]
    assert len(said) == 3
    for words in ("it was charged for 2024-01-02", "released twice", "charged no group"):
        assert any(words in what for what in said)


def test_verify_sees_a_seed_without_its_group(stream: Stream) -> None:
    stream.release(counts("2024-01-02", 2))
    with stream.ledger.database.writing() as session:
        session.execute(text("INSERT INTO ledger_seeds VALUES (777, :b)"), {"b": bytes(32)})
    assert any("belongs to no group" in what for _, what in verify(stream.ledger).broken)
