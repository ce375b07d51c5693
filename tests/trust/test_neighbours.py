"""Two files that differ by one person go in; everything that comes out is compared.

Noise is drowned (`drowned.py`), so that whatever differs is something that the noise does not cover.
"""

from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings

from tests.trust.bench import Bench
from tests.trust.scenarios import SCENARIOS

QUICK = ("train counts", "train events", "train counts by gradient", "ingest events")
"""What is tried in every run of the quick tests; the rest, and more neighbours, among the slow ones."""


class Nothing:
    """No change at all."""

    def applied(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame


def neighbours_of(bench: Bench, name: str, count: int) -> None:
    """As many neighbours as there is time for, the same in every run."""
    scenario = SCENARIOS[name]

    @settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(change=scenario.neighbours)
    @example(change=scenario.worst)
    def alike(change: Any) -> None:
        bench.compare(name, scenario.base(), change, scenario.steps)

    alike()


def test_the_same_file_twice_is_published_alike(bench: Bench) -> None:
    """Otherwise something that differs from run to run is not masked."""
    scenario = SCENARIOS["train counts"]
    bench.compare("train counts", scenario.base(), Nothing(), scenario.steps)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in SCENARIOS],
)
def test_neighbours_are_published_alike(bench: Bench, name: str) -> None:
    neighbours_of(bench, name, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_many_neighbours_are_published_alike(bench: Bench, name: str) -> None:
    neighbours_of(bench, name, 4)
