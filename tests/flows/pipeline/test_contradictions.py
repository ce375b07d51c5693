"""Declared nestings against noised counts: what contradicts them, and what does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from data.panel import Panel
from flows.pipeline.privatise import privatise
from flows.recipe.recipe import Recipe, from_dict
from flows.settings import Home

NESTED = {"whole": ["part", "other"]}


def panel(whole: float, part: float) -> Panel:
    times = pd.date_range("2024-01-01", periods=24 * 21, freq="h", name="time")
    counts = np.tile([whole, part, 0.0], (len(times), 1))
    frame = pd.DataFrame(counts, times, ["whole", "part", "other"])
    return Panel(frame, "mine", regions_per_interval=2, nested=NESTED)


def recipe(**privacy: Any) -> Recipe:
    return from_dict({"privacy": {"unit": "user-day", "epsilon": 1.0, "delta": 1e-6, **privacy}})


def test_a_nesting_that_the_noised_counts_contradict(home: Home) -> None:
    home.root.mkdir()
    (warning,) = privatise(panel(100.0, 5000.0), recipe(), home).guarantee.statement["warnings"]
    assert "'whole' is far below 'part', 'other' in 504 of 504 intervals" in warning
    assert "source.nested" in warning


def test_suppressed_counts_contradict_nothing(home: Home) -> None:
    home.root.mkdir()
    # of two equal counts, noise puts one below the limit and the other above
    made = privatise(panel(5000.0, 5000.0), recipe(suppress_below=5000), home)
    zero = (made.inputs.values == 0).any(axis=1)
    assert zero.any()
    assert made.guarantee.statement["warnings"] == []
