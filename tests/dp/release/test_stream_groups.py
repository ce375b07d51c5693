"""Streams with shared offsets: a group is charged once, its counts come piece by piece."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from dp.budget import Budget, BudgetRefused
from dp.composition.total import COUNTS, OFFSETS, PIECE
from dp.errors import LedgerError
from dp.ledger import verify
from dp.mechanisms import kept_offsets
from dp.mechanisms.kept_offsets import offsets_of, unseal
from dp.mechanisms.offset_noise import OffsetNoise
from dp.release.stream import pieces
from dp.release.stream_groups import group_ends, release_further
from dp.unit.privacy_unit import PrivacyUnit
from tests.dp.release.city_stream import (
    DAY,
    TWO_HOURS,
    USER,
    WEEK,
    Stream,
    counts,
    noise_for,
)


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    return Stream(f"sqlite:///{tmp_path / 'ledger.db'}", tmp_path)


def test_the_first_piece_is_charged_for_the_day(stream: Stream) -> None:
    assert isinstance(stream.noise, OffsetNoise)
    assert stream.noise.deviation < 0.98 * noise_for(DAY, independent=True).deviation
    spent = []
    for hour in range(0, 24, 4):
        stream.release(counts(f"2024-01-02 {hour:02d}:00", 2))
        spent.append(stream.spent())
    assert set(spent) == {spent[0]}
    assert 0.999 < spent[0] <= 1.0
    stream.release(counts("2024-01-03", 24))  # two whole days
    assert stream.spent() == spent[0]
    assert [entry.event["mechanism"] for entry in stream.entries] == [
        OFFSETS,
        *[PIECE] * 5,
        OFFSETS,
    ]
    assert stream.entries[0].period.end == datetime(2024, 1, 3)
    assert verify(stream.ledger).holds


def test_all_counts_of_a_day_carry_one_offset_and_other_days_another(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(counts: NDArray[np.int64], _: float) -> NDArray[np.int64]:
        return counts

    monkeypatch.setattr(kept_offsets, "discrete_gaussian", nothing)  # the noise of single counts
    drawn = [stream.release(counts(f"2024-01-02 {hour:02d}:00", 2)) for hour in (0, 4, 8)]
    sealed = stream.ledger.seed(stream.entries[0])
    assert sealed is not None
    assert isinstance(stream.noise, OffsetNoise)
    offsets = offsets_of(stream.noise, unseal(sealed, stream.secret)) / stream.noise.grid
    for one in drawn:
        assert np.array_equal(one.to_numpy() - 500, np.tile(offsets, (2, 1)))
    stream.release(counts("2024-01-03", 1))
    assert stream.ledger.seed(stream.entries[-1]) not in (None, sealed)


def test_offsets_are_shared_across_pieces_and_noise_is_not(tmp_path: Path) -> None:
    """Over many days, the covariance of counts of two pieces is s², and their variance s² + σ²."""
    stream = Stream(f"sqlite:///{tmp_path / 'ledger.db'}", tmp_path)
    noise = stream.noise
    assert isinstance(noise, OffsetNoise)
    rows = []
    for day in pd.date_range("2024-01-01", periods=60):
        rows.append(
            np.concatenate(
                [
                    stream.release(counts(str(day + pd.Timedelta(hours=hour)), 6))["a"].to_numpy()
                    for hour in (0, 12)
                ]
            )
        )
    values = np.array(rows) - 500
    off = (values[:, :6].mean(axis=1) * values[:, 6:].mean(axis=1)).mean()
    each = noise.offset**2 + noise.sigma**2 / 6
    assert abs(off - noise.offset**2) < 5 * each / 60**0.5
    assert off > 0
    difference = values[:, 0] - values[:, 6]  # free of the offset
    assert difference.var() == pytest.approx(2 * noise.sigma**2, rel=0.9)
    assert stream.spent() <= 1.0


def test_a_piece_is_released_once(stream: Stream) -> None:
    first = stream.release(counts("2024-01-02", 2))
    further = stream.release(counts("2024-01-02 04:00", 2))
    pd.testing.assert_frame_equal(stream.release(counts("2024-01-02", 2, 900.0)), first)
    stream.release(counts("2024-01-03", 2))  # the day is over, its seed is gone
    pd.testing.assert_frame_equal(stream.release(counts("2024-01-02 04:00", 2, 900.0)), further)
    pd.testing.assert_frame_equal(
        stream.release(counts("2024-01-02", 2, 900.0), noise_for(DAY, independent=True)), first
    )
    assert len(stream.entries) == 3


@pytest.mark.parametrize("unit", [DAY, WEEK])
def test_a_partial_first_group_is_charged_whole(tmp_path: Path, unit: PrivacyUnit) -> None:
    stream = Stream(f"sqlite:///{tmp_path / 'ledger.db'}", tmp_path, unit)
    whole = stream.noise.bound.intervals
    times = counts("2024-01-03 10:00", 3 * whole)
    cut = pieces(pd.DatetimeIndex(times.index), TWO_HOURS, unit)
    for part in cut:
        stream.release(times.iloc[part])
    assert len(cut) == 3
    assert stream.spent() == pytest.approx(1.0, rel=1e-3)
    assert stream.entries[0].period.unit_range(unit) == stream.entries[0].period.seconds
    assert stream.ledger.seeds_kept() == (stream.entries[-1].id,)


def test_a_users_group_lasts_as_long_as_the_budget(tmp_path: Path) -> None:
    stream = Stream(f"sqlite:///{tmp_path / 'ledger.db'}", tmp_path, USER, lasts=30)
    assert isinstance(stream.noise, OffsetNoise)
    frame = counts("2024-01-02 06:00", 40)
    times = pd.DatetimeIndex(frame.index)
    stream.release(frame.iloc[:5])
    later = pieces(
        times[5:], TWO_HOURS, USER, group_ends(stream.noise, stream.entries, times[5], TWO_HOURS)
    )
    assert [(part.start, part.stop) for part in later] == [(0, 25), (25, 35)]
    with pytest.raises(LedgerError, match="expected a piece of the stream to end by"):
        stream.release(frame.iloc[5:])
    stream.release(frame.iloc[5:30])
    assert stream.ledger.seeds_kept() == ()
    with pytest.raises(BudgetRefused):
        stream.release(frame.iloc[30:])
    assert len(stream.entries) == 2
    assert verify(stream.ledger).holds


def test_past_the_cap_nothing_is_drawn_and_no_seed_is_kept(stream: Stream) -> None:
    stream.ledger.set_cap("city", DAY, Budget(0.5, 1e-6), new=True)
    with pytest.raises(BudgetRefused):
        stream.release(counts("2024-01-02", 1))
    assert stream.entries == ()
    assert stream.ledger.seeds_kept() == ()


def test_a_group_goes_on_with_the_noise_it_was_charged_for(stream: Stream) -> None:
    stream.release(counts("2024-01-02", 2))
    stream.release(counts("2024-01-02 04:00", 2), noise_for(DAY, independent=True))
    first, second = stream.entries
    assert second.event["mechanism"] == PIECE
    assert second.event["sigma"] == first.event["sigma"]
    stream.release(counts("2024-01-03", 2), noise_for(DAY, independent=True))
    assert stream.entries[-1].event["mechanism"] == COUNTS


def test_intervals_across_midnight_share_nothing() -> None:
    assert not isinstance(noise_for(DAY, start=datetime(2024, 1, 1, 1)), OffsetNoise)
    assert not isinstance(noise_for(PrivacyUnit.USER_INTERVAL), OffsetNoise)


def test_a_piece_needs_a_charge_of_its_own_to_be_drawn(stream: Stream) -> None:
    stream.release(counts("2024-01-02", 2))
    group = stream.entries[0]
    frame = counts("2024-01-02 04:00", 2)
    charge = replace(
        group,
        key="one more",
        period=replace(group.period, start=datetime(2024, 1, 2, 4), end=datetime(2024, 1, 2, 8)),
    )
    release = release_further(frame, group, charge, stream.ledger, stream.secret)
    assert release.entry.epsilon == 0.0
    assert stream.ledger.entry(release.entry.id).state == "released"
