"""Nestings that noised counts contradict, and those that noise explains."""

from __future__ import annotations

import pandas as pd

from data.panel import Panel
from dp.budget import Budget
from dp.mechanisms.count_noise import CountNoise
from dp.unit.contribution import ContributionBound
from flows.pipeline.contradictions import contradictions

NOISE = CountNoise(ContributionBound(1, 2), Budget(1.0, 0.1), sigma=10.0)


def panel(outer: float) -> Panel:
    times = pd.date_range("2024-01-01", periods=3, freq="h", name="time")
    counts = pd.DataFrame({"city": outer, "north": 500.0, "south": 400.0}, index=times)
    counts.loc[times[1:], "city"] = 900.0
    return Panel(counts, "made up", nested={"city": ("north", "south")})


def test_a_count_far_below_those_within_it_is_a_warning() -> None:
    (warning,) = contradictions(panel(500.0), NOISE)
    assert "'city' is far below 'north', 'south' in 1 of 3 intervals" in warning
    assert "2024-01-01 00:00:00" in warning


def test_what_noise_explains_is_none() -> None:
    assert contradictions(panel(850.0), NOISE) == []
