"""What groups of a stream are charged, against their true joint cost: brute force over presences."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dp.accounting.rounding import rounded_variance
from dp.composition import event_for_unit, total
from dp.ledger import verify
from dp.mechanisms.offset_noise import OffsetNoise, cost_of
from dp.release.stream import pieces
from dp.unit.time_grid import TimeGrid
from tests.dp.release.city_stream import (
    DAY,
    TWO_HOURS,
    USER,
    Stream,
    counts,
)


def joint_cost(event: dict[str, object], present: np.ndarray) -> float:
    """μ² of what was released of one region, for a person in some of its counts; brute force."""
    sigma, offset, grid = (float(event[name]) for name in ("sigma", "offset", "grid"))  # type: ignore[arg-type]
    released = len(present)
    covariance = rounded_variance(sigma, int(grid)) * np.eye(released)
    covariance += rounded_variance(offset, int(grid)) * np.ones((released, released))
    return float(present @ np.linalg.solve(covariance, present))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), most=st.integers(1, 2))
def test_no_part_of_a_group_costs_more_than_was_charged(
    tmp_path: Path, data: st.DataObject, most: int
) -> None:
    """For every presence in the released part, of a person in `most` regions at a time."""
    stream = Stream("sqlite://", tmp_path, USER, lasts=6, regions_per_interval=most)
    if not isinstance(stream.noise, OffsetNoise):
        return
    released: list[int] = []
    at = 0
    while at < 6:
        length = data.draw(st.integers(1, 6 - at))
        if data.draw(st.booleans()) or not released:
            frame = counts("2024-01-02", 6).iloc[at : at + length]
            if not released:
                at = 0  # the group begins with its first piece
                frame = counts("2024-01-02", 6).iloc[:length]
            stream.release(frame)
            released += range(at, at + length)
        at += length
        events = [
            event_for_unit(USER, entry, TimeGrid().plus(entry.period, None))
            for entry in stream.entries
        ]
        charged = total(events).mu2 / 2**80
        worst = 0.0
        for one in itertools.product((0, 1), repeat=len(released)):
            if most == 2:  # in both regions, or in one of them
                worst = max(worst, 2 * joint_cost(stream.entries[0].event, np.array(one, float)))
            other = 1 - np.array(one, float)  # at every moment in the one region or the other
            worst = max(
                worst,
                joint_cost(stream.entries[0].event, np.array(one, float))
                + joint_cost(stream.entries[0].event, other),
            )
        assert worst <= charged * (1 + 1e-9)
    assert stream.spent() <= 1.0
    if released == list(range(6)):
        assert worst > charged * 0.97  # and not much more is charged than it costs


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cut=st.sets(st.integers(1, 23), max_size=4))
def test_shorter_and_longer_units_pay_for_what_is_released(tmp_path: Path, cut: set[int]) -> None:
    """A `user-day` of a stream for `user`, and a `user` of one for `user-day`: brute force."""
    borders = [0, *sorted(cut), 24]
    for unit, more in ((USER, {"lasts": 24}), (DAY, {})):
        stream = Stream("sqlite://", tmp_path, unit, **more)
        frame = counts("2024-01-02", 24)
        for start, end in itertools.pairwise(borders):
            for part in pieces(pd.DatetimeIndex(frame.index[start:end]), TWO_HOURS, unit):
                stream.release(frame.iloc[start:end].iloc[part])
        event = stream.entries[0].event
        if unit is USER:  # twelve of 24 counts, in one region
            some = np.repeat([1.0, 0.0], 12)
            least = max(
                joint_cost(event, some * np.repeat([1.0, 0.0], [n, 24 - n])) for n in range(1, 13)
            )
            short = total([event_for_unit(DAY, entry, _grid(stream)) for entry in stream.entries])
            assert least <= short.mu2 / 2**80 * (1 + 1e-9)
            assert stream.spent(DAY) <= stream.spent(USER)
        else:  # two days, each with offsets of its own
            long = total([event_for_unit(USER, entry, _grid(stream)) for entry in stream.entries])
            once = cost_of(event)[0]
            assert long.mu2 / 2**80 == pytest.approx(2 * once, rel=1e-6)
        assert verify(stream.ledger).holds


def _grid(stream: Stream) -> TimeGrid:
    return stream.ledger.grid_with(stream.entries)
