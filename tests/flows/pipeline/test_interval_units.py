"""`interval-w` from raw events: what changes in one interval changes the counts of that one alone."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.errors import UsageError
from flows.pipeline import read
from flows.recipe.recipe import Recipe, from_dict

START, SLOTS, PLACES = pd.Timestamp("2024-01-01"), 6, ("a", "b", "c")
SEEN = st.tuples(st.integers(0, 3), st.sampled_from(PLACES), st.integers(1, 4))
"""Of one interval: person, place, weight."""


def recipe(source: str, **privacy: Any) -> Recipe:
    declared = {"start": "2024-01-01", "end": "2024-01-01T03:00", "regions": list(PLACES)}
    return from_dict(
        {
            "source": {"name": source, "events": True, "regions_per_interval": 2},
            "events": {**declared, "weight": "weight"},
            "privacy": {"mechanism": "gradient", "unit": "interval-1", "weight": 3, **privacy},
        }
    )


def counts(seen: list[list[tuple[int, str, int]]], asked: Recipe) -> np.ndarray:
    rows = [
        (person, START + slot * pd.Timedelta("30min"), place, weight)
        for slot, interval in enumerate(seen)
        for person, place, weight in interval
    ]
    frame = pd.DataFrame(rows, columns=["person", "time", "place", "weight"])
    frame = frame.astype({"person": "int64", "weight": "int64", "time": "datetime64[us]"})
    frame.astype({"place": "string"}).to_parquet(asked.source.name)
    return read.read(asked).frame.iloc[:, 1:].to_numpy()


@settings(max_examples=8, deadline=None)
@given(
    seen=st.lists(st.lists(SEEN, min_size=1, max_size=5), min_size=SLOTS, max_size=SLOTS),
    changed=st.integers(0, SLOTS - 1),
    instead=st.lists(SEEN, max_size=5),
)
def test_other_intervals_keep_their_counts(
    seen: list[Any], changed: int, instead: list[Any]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asked = recipe(str(Path(folder) / "e.parquet"))
        # whatever a recipe says that came here past its own checks
        object.__setattr__(asked.privacy, "intervals_per_unit", 1)
        before = counts(seen, asked)
        after = counts([*seen[:changed], instead, *seen[changed + 1 :]], asked)
    same = np.delete(before == after, changed, axis=0)
    assert same.all()


@pytest.mark.parametrize("mechanism", ["gradient", "none"])
@pytest.mark.parametrize("events", [True, False])
def test_a_cut_over_intervals_is_refused(mechanism: str, events: bool) -> None:
    with pytest.raises(UsageError, match=r"leave intervals_per_unit out, or choose a unit of pers"):
        from_dict(
            {
                "source": {"events": events},
                "privacy": {
                    "mechanism": mechanism,
                    "unit": "interval-2",
                    "intervals_per_unit": 160,
                },
            }
        )


@pytest.mark.parametrize("events", [True, False])
def test_a_cut_over_regions_is_refused(events: bool) -> None:
    source = {"events": events, "regions_ever": 2}
    with pytest.raises(UsageError, match=r"regions_ever=2 cuts.*leave regions_ever out, or choose"):
        from_dict({"source": source, "privacy": {"mechanism": "gradient", "unit": "interval-2"}})


def test_a_cut_over_runs_is_refused() -> None:
    source = {"events": True, "runs_per_day": 2}
    with pytest.raises(UsageError, match=r"runs_per_day=2 cuts.*leave runs_per_day out, or choose"):
        from_dict({"source": source, "privacy": {"mechanism": "gradient", "unit": "interval-2"}})
