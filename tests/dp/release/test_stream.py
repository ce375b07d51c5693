"""Streams: every interval noised once, and all of a unit's intervals together what was promised."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dp.budget import Budget, BudgetRefused
from dp.ledger import Ledger, local_secret, verify
from dp.ledger.identity import release_key
from dp.mechanisms.count_noise import CountNoise
from dp.release.panel import charge_for_counts, draw_once, panel_of
from dp.release.stream import piece_noise, pieces, release_piece, stream_noise
from dp.release.stream_entries import give_back, streamed
from dp.unit.privacy_unit import PrivacyUnit

HALF = timedelta(minutes=30)
BUDGET = Budget(1.0, 1e-6)


def counts(start: str, intervals: int) -> pd.DataFrame:
    times = pd.date_range(start, periods=intervals, freq="30min", name="time")
    return pd.DataFrame(np.full((intervals, 3), 500.0), times, ["a", "b", "c"])


class Stream:
    def __init__(
        self,
        folder: Path,
        unit: PrivacyUnit,
        lasts: int | None = None,
        start: datetime = datetime(2024, 1, 2),
    ) -> None:
        self.ledger, self.unit = Ledger(f"sqlite:///{folder / 'ledger.db'}"), unit
        self.secret = local_secret(folder / "secret")
        noise, _ = stream_noise(
            BUDGET,
            unit,
            lasts=lasts,
            interval=HALF,
            regions=3,
            regions_per_interval=2,
            start=start,
            independent=True,
        )
        assert isinstance(noise, CountNoise)
        self.noise = noise

    def release(self, frame: pd.DataFrame) -> pd.DataFrame:
        return release_piece(
            frame,
            self.noise,
            ledger=self.ledger,
            unit=self.unit,
            interval=HALF,
            secret=self.secret,
            dataset="city",
        ).counts

    @property
    def spent(self) -> float:
        return self.ledger.spent("city", self.unit, BUDGET.delta)


def test_a_days_intervals_together_cost_what_was_promised_of_a_day(tmp_path: Path) -> None:
    stream = Stream(tmp_path, PrivacyUnit.USER_DAY)
    spent = []
    for hour in range(24):  # as they come, two intervals at a time
        stream.release(counts(f"2024-01-02 {hour:02d}:00", 2))
        spent.append(stream.spent)
    assert spent == sorted(spent)
    assert spent[0] < 0.3
    assert spent[-1] == pytest.approx(1.0, rel=1e-3)
    assert spent[-1] <= 1.0
    stream.release(counts("2024-01-03", 48))  # another day is another budget
    assert stream.spent == spent[-1]
    assert verify(stream.ledger).holds


def test_past_the_units_intervals_nothing_is_drawn(tmp_path: Path) -> None:
    stream = Stream(tmp_path, PrivacyUnit.USER, lasts=10)
    stream.release(counts("2024-01-02", 10))
    assert stream.spent == pytest.approx(1.0, rel=1e-3)
    with pytest.raises(BudgetRefused):
        stream.release(counts("2024-01-02 05:00", 1))
    assert len(streamed(stream.ledger, "city", stream.unit)) == 1


def test_single_intervals_cost_nothing_more(tmp_path: Path) -> None:
    stream = Stream(tmp_path, PrivacyUnit.USER_INTERVAL)
    for hour in range(3):
        stream.release(counts(f"2024-01-02 {hour:02d}:00", 2))
    assert stream.spent == pytest.approx(1.0, rel=1e-3)
    assert stream.spent <= 1.0
    # ... but a person's day is in several of them, and the ledger knows
    assert stream.ledger.spent("city", PrivacyUnit.USER_DAY, BUDGET.delta) > 1.5


def test_corrected_counts_get_the_release_that_was_made(tmp_path: Path) -> None:
    stream = Stream(tmp_path, PrivacyUnit.USER_DAY)
    first = stream.release(counts("2024-01-02", 4))
    again = stream.release(counts("2024-01-02", 4) + 100)
    pd.testing.assert_frame_equal(first, again)
    (entry,) = streamed(stream.ledger, "city", stream.unit)
    assert panel_of(stream.ledger.released(entry.key)).to_numpy() == pytest.approx(first.to_numpy())


def test_two_streams_of_one_data_set_share_no_release(tmp_path: Path) -> None:
    stream = Stream(tmp_path, PrivacyUnit.USER_DAY)
    drawn, one = {}, 0.0
    for name, level in (("north", 0), ("south", 9000)):
        drawn[name] = release_piece(
            counts("2024-01-02", 4) + level,
            stream.noise,
            ledger=stream.ledger,
            unit=stream.unit,
            interval=HALF,
            secret=stream.secret,
            dataset="city",
            stream=name,
        ).counts
        one = one or stream.spent
    assert (drawn["south"] - drawn["north"]).mean().mean() == pytest.approx(9000, abs=500)
    for name in drawn:
        (entry,) = streamed(stream.ledger, name, stream.unit)
        kept = panel_of(stream.ledger.released(entry.key))
        assert np.array_equal(kept.to_numpy(), drawn[name].to_numpy())
        assert entry.dataset == "city"  # one account, which both are charged to
    assert stream.spent > 1.3 * one


@pytest.mark.parametrize("name", ["city", "north"])
def test_a_piece_that_an_earlier_version_released_is_found(tmp_path: Path, name: str) -> None:
    stream, frame = Stream(tmp_path, PrivacyUnit.USER_DAY), counts("2024-01-02", 4)
    recipe = {"stream": {} if name == "city" else {"name": name}, "source": {"account": "city"}}
    charge = charge_for_counts(
        frame,
        piece_noise(stream.noise, frame, stream.unit, HALF),
        dataset="city",
        unit=stream.unit,
        secret=stream.secret,
        purpose="stream",
        interval=HALF,
        recipe=recipe,
    )
    piece = {"unit": "user-day", "period": charge.period.to_dict(), "regions": ["a", "b", "c"]}
    key = release_key(stream.secret, {"stream": "city", **piece})
    before = draw_once(
        frame,
        piece_noise(stream.noise, frame, stream.unit, HALF),
        replace(charge, key=key),
        stream.ledger,
        BUDGET,
    ).counts

    def again(called: str) -> pd.DataFrame:
        return release_piece(
            frame,
            stream.noise,
            ledger=stream.ledger,
            unit=stream.unit,
            interval=HALF,
            secret=stream.secret,
            dataset="city",
            stream=called,
            recipe=recipe,
        ).counts

    pd.testing.assert_frame_equal(again(name), before)
    assert len(streamed(stream.ledger, name, stream.unit)) == 1
    if name != "city":  # another stream of the account had the same key, and must not get it
        assert not np.array_equal(again("south").to_numpy(), before.to_numpy())
        assert len(stream.ledger.entries()) == 2


def test_what_was_only_reserved_is_given_back(tmp_path: Path) -> None:
    stream = Stream(tmp_path, PrivacyUnit.USER_DAY)
    stream.release(counts("2024-01-02", 4))
    before = stream.spent

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    commit = stream.ledger.commit
    stream.ledger.commit = dies  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        stream.release(counts("2024-01-02 02:00", 4))
    stream.ledger.commit = commit  # type: ignore[method-assign]
    left = [one for one in streamed(stream.ledger, "city", stream.unit) if one.state == "reserved"]
    assert len(left) == 1
    assert stream.spent > before
    give_back(stream.ledger, tuple(left))
    assert stream.spent == pytest.approx(before)


def test_a_lasting_unit_needs_a_length() -> None:
    with pytest.raises(ValueError, match=r"stream\.lasts"):
        stream_noise(BUDGET, PrivacyUnit.USER, lasts=None, interval=HALF, regions=3)


@settings(max_examples=60, deadline=None)
@given(
    start=st.integers(0, 700),
    length=st.integers(1, 1500),
    unit=st.sampled_from([PrivacyUnit.USER_DAY, PrivacyUnit.USER_WEEK]),
)
def test_cuts_never_charge_a_unit_for_more_than_it_has(
    start: int, length: int, unit: PrivacyUnit
) -> None:
    times = pd.date_range("2024-01-01", periods=start + length, freq="30min")[start:]
    cut = pieces(times, HALF, unit)
    joined = [time for part in cut for time in times[part]]
    assert joined == list(times)
    rule = "D" if unit is PrivacyUnit.USER_DAY else "W-SUN"
    whole = 48 if unit is PrivacyUnit.USER_DAY else 336
    parts = [times[part].to_period(rule) for part in cut]
    assert len(cut) <= 3
    for one, periods in enumerate(parts):
        for other in parts[one + 1 :]:
            assert not set(periods) & set(other)
        sizes = pd.Series(1, periods).groupby(level=0).sum()
        assert len(sizes) == 1 or set(sizes) == {whole}


def test_intervals_across_midnight_are_charged_to_both_days(tmp_path: Path) -> None:
    stream = Stream(tmp_path, PrivacyUnit.USER_DAY, start=datetime(2024, 1, 2, 0, 15))
    assert stream.noise.bound.intervals == 49
    frame = counts("2024-01-02 00:15", 3 * 48)
    cut = pieces(pd.DatetimeIndex(frame.index), HALF, stream.unit)
    assert [part.stop - part.start for part in cut] == [47, 1, 47, 1, 47, 1]
    for part in cut:
        stream.release(frame.iloc[part])
    assert 0.98 < stream.spent <= 1.0
    assert verify(stream.ledger).holds
