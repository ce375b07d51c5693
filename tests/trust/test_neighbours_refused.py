"""What has to be refused, and told to everybody alike; and fingerprints that have to be keyed."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.trust import neighbouring as near
from tests.trust.bench import Bench, Steps, with_settings
from tests.trust.published import differences, fingerprints
from tests.trust.scenarios import (
    ALONE,
    BOUND,
    BY_GRADIENT,
    DECLARED,
    INPUT,
    PROMISE,
    SCENARIOS,
    TINY,
    WINDOWS,
    ingest,
)


def _refused(bench: Bench, name: str, base: pd.DataFrame, change: Any, steps: Steps) -> None:
    """Both neighbours are refused, in the same words, and nothing is charged."""
    ours = bench.published(base, steps)
    said = next(iter(bench.said.values()))
    theirs = bench.published(change.applied(base), steps)
    assert not said.startswith("exit 0"), f"{name} is released"
    assert differences(ours, theirs) == []
    assert not any("ledger_log" in key for key in ours)


def test_undeclared_regions_and_periods_are_refused(bench: Bench) -> None:
    def steps(bench: Bench, place: Path) -> None:
        bench.command(
            "ingest",
            bench.source,
            "--events",
            *PROMISE,
            *with_settings(*BOUND, "events.interval=120min"),
        )

    _refused(bench, "an undeclared panel", near.events(), ALONE, steps)


@pytest.mark.parametrize("left_out", ["events.regions", "events.start", "events.end"])
def test_what_is_left_undeclared_is_refused(bench: Bench, left_out: str) -> None:
    told = [one for one in DECLARED if not one.startswith(left_out)]

    def steps(bench: Bench, place: Path) -> None:
        bench.command(
            "train",
            "--source",
            bench.source,
            "--events",
            *INPUT,
            "-q",
            *with_settings(*BOUND, *WINDOWS, *told),
        )

    _refused(bench, f"a panel without {left_out}", near.events(), ALONE, steps)


def test_a_cut_over_the_whole_panel_is_refused_for_intervals(bench: Bench) -> None:
    """K per person couples all intervals, so that one of them changes far more windows than w."""

    def steps(bench: Bench, place: Path) -> None:
        bench.command(
            "train",
            "--source",
            bench.source,
            "--events",
            *BY_GRADIENT,
            "-q",
            "--unit",
            "interval-1",
            *with_settings(*BOUND, *WINDOWS, *DECLARED, *TINY, "source.max_count=300"),
        )

    _refused(bench, "interval-1 with K", near.events(), near.OnePerson(120), steps)


@dataclass(frozen=True)
class Malformed:
    """One person more, with a record that cannot be read."""

    column: str
    value: Any

    def applied(self, frame: pd.DataFrame) -> pd.DataFrame:
        row = {"person": 999, "time": near.START, "place": "north", self.column: self.value}
        return pd.concat([frame.astype(object), pd.DataFrame([row])])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("time", "yesterday"),
        ("time", None),
        ("place", None),
        ("person", None),
        ("place", "a,b"),
        ("time", "2024-01-03T10:00:00+01:00"),
    ],
)
def test_one_malformed_record_is_not_told(bench: Bench, column: str, value: Any) -> None:
    """Whether somebody's record can be read is a fact about them."""
    steps = ingest("--events", more=DECLARED)
    ours = bench.published(near.events(), steps)
    theirs = bench.published(Malformed(column, value).applied(near.events()), steps)
    assert differences(ours, theirs) == []


@pytest.mark.parametrize("name", ["sweep", "train counts"])
def test_no_fingerprint_of_the_data_is_without_a_key(bench: Bench, name: str) -> None:
    """It would tell who has a copy of the data whether one person is in it.

    Such a number is the same under two keys, and another one for a neighbour.
    """
    scenario, found = SCENARIOS[name], []
    base, changed = scenario.base(), scenario.worst.applied(scenario.base())
    for frame, secret in ((base, "aa" * 32), (base, "bb" * 32), (changed, "aa" * 32)):
        place = bench.place(frame, scenario.steps, secret)
        found.append(fingerprints(place / "var"))
        shutil.rmtree(place)
    ours, under_another_key, neighbours = found
    assert ours - under_another_key  # keyed ones are seen
    assert (ours & under_another_key) - neighbours == set()
