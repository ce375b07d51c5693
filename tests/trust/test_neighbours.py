"""Two files that differ by one person go in; everything that comes out is compared.

Noise is drowned (`drowned.py`), so that whatever differs is something that the noise does not cover.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, example, given, settings
from sqlalchemy import create_engine
from typer.testing import CliRunner

from data.store import open_store
from dp.ledger import Ledger, local_secret
from flows import jobs
from flows.cli import app
from flows.record import Tracker
from flows.service.app import make_app
from flows.settings import open_home
from tests.trust import neighbouring as near
from tests.trust.drowned import drown
from tests.trust.published import Published, differences, fingerprints, prefect_rows, published

pytestmark = pytest.mark.usefixtures("prefect_server")

TOKEN = "a-token-of-tests-0123456789"
WINDOWS = ("windows.lags=3", "windows.test=4d", "windows.validation=0d")
BOUND = (f"source.regions_per_interval={near.M}", f"privacy.intervals_per_unit={near.K}")
DECLARED = (
    "events.interval=120min", f'events.regions={json.dumps(near.PLACES)}',
    f"events.start={near.START:%Y-%m-%dT%H:%M}".replace("=", '="') + '"',
    f"events.end={near.END:%Y-%m-%dT%H:%M}".replace("=", '="') + '"',
)  # fmt: skip
PROMISE = ("--unit", "user-day", "--epsilon", "1", "--delta", "1e-6")
INPUT = ("--mechanism", "input", *PROMISE, "--model", "ridge")
GRADIENT = ("--mechanism", "gradient", "--delta", "1e-6", "--model", "gru", "--optimizer", "sgd")
TINY = ("model.hidden=2", "training.epochs=2", "training.batch_size=64", "windows.around=0",
        "windows.seasons=0", "windows.calibration=0d")  # fmt: skip

Steps = Callable[["Bench", Path], None]


def few(count: int) -> Callable[[Any], Any]:
    """As many neighbours as there is time for, the same in every run."""
    return settings(
        max_examples=count, derandomize=True, deadline=None, database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )  # fmt: skip


def with_settings(*values: str) -> list[str]:
    return [word for value in values for word in ("--set", value)]


@dataclass
class Bench:
    """Runs commands on a file in a home of their own, and keeps what was published."""

    folder: Path
    template: Path
    patch: pytest.MonkeyPatch
    said: dict[str, str]
    known: dict[str, Published]
    flows: set[str]
    numbers: Iterator[int]

    @property
    def source(self) -> Path:
        """The file: at the same place for both neighbours, since pictures are titled by it."""
        return self.folder / "data.csv"

    def command(self, *words: object) -> None:
        """One command; its output is part of what is published."""
        result = CliRunner().invoke(app, [str(word) for word in words])
        name = f"{len(self.said)} {' '.join(map(str, words[:2]))}"
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.said[name] = f"exit {result.exit_code}\n{result.stdout}\n{result.stderr}"

    def asked(self, *commands: str) -> None:
        """What anybody may ask of a home afterwards."""
        for line in ("budget show --json", "budget history --json", "budget export",
                     "budget export --format registry", *commands):  # fmt: skip
            self.command(*line.split())

    def published(self, frame: pd.DataFrame, steps: Steps, secret: str | None = None) -> Published:
        """Everything that comes of a file."""
        place = self.place(frame, steps, secret)
        try:
            rows, self.flows = prefect_rows(self.flows)
            return published(place, {**self.said, "prefect": rows})
        finally:
            shutil.rmtree(place)

    def place(self, frame: pd.DataFrame, steps: Steps, secret: str | None = None) -> Path:
        """A folder in which the steps were done."""
        place = self.folder / f"{next(self.numbers):06d}"
        shutil.copytree(self.template, place / "var")
        if secret is not None:
            (place / "var" / "secret").write_text(secret)
        frame.to_csv(self.source, index="time" not in frame)
        self.patch.setenv("VEILCAST_HOME", str(place / "var"))
        self.said = {}
        steps(self, place)
        return place

    def compare(self, name: str, base: pd.DataFrame, change: Any, steps: Steps) -> None:
        """Fail with every place where the two differ."""
        if name not in self.known:
            self.known[name] = self.published(base, steps)
            failed = [said for said in self.said.values() if not said.startswith("exit 0")]
            assert not failed, failed
        found = differences(self.known[name], self.published(change.applied(base), steps))
        assert not found, f"{change} is seen in {len(found)} places:\n" + "\n".join(found[:40])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("neighbours")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "4000")  # so that no table is folded by the length of a path
        patch.setenv("VEILCAST_HOME", str(folder / "template"))
        patch.setenv("VEILCAST_TOKEN", TOKEN)
        for name in ("VEILCAST_DATABASE_URL", "MLFLOW_TRACKING_URI"):
            patch.delenv(name, raising=False)
        home = open_home()
        Tracker(home).runs()
        open_store(home.database_url)
        Ledger(home.database_url)
        local_secret(home.secret)
        drown(patch)
        yield Bench(folder, home.root, patch, {}, {}, set(), itertools.count())


@pytest.fixture
def counts() -> pd.DataFrame:
    return near.counts()


@pytest.fixture
def events() -> pd.DataFrame:
    return near.events()


def train_counts(*words: str, more: tuple[str, ...] = ()) -> Steps:
    def steps(bench: Bench, place: Path) -> None:
        bench.command("train", "--source", bench.source, *words, "-q", "--json",
                      *with_settings(*BOUND, *WINDOWS, *more))  # fmt: skip
        bench.command("statement")
        bench.command("forecast", "--json")
        bench.asked("runs --json")

    return steps


def train_events(*words: str, more: tuple[str, ...] = ()) -> Steps:
    return train_counts("--events", *words, more=(*DECLARED, *more))


FEWER = near.OneDay(2, ((5, "harbour"),), 1)
"""Somebody in the region that never changes, which then does."""
ALONE = near.OnePerson(None, ((-9_000, near.RARE), (40 * 1440, "north")))
"""Somebody before and after everybody else, in a place of their own."""


class Nothing:
    """No change at all."""

    def applied(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame


def test_the_same_file_twice_is_published_alike(bench: Bench, counts: pd.DataFrame) -> None:
    """Otherwise something that differs from run to run is not masked."""
    bench.compare("train counts", counts, Nothing(), train_counts(*INPUT))


@few(3)
@given(change=near.days())
@example(change=FEWER)
def test_train_on_counts(bench: Bench, counts: pd.DataFrame, change: near.OneDay) -> None:
    bench.compare("train counts", counts, change, train_counts(*INPUT))


@few(3)
@given(change=near.persons())
@example(change=ALONE)
def test_train_on_events(bench: Bench, events: pd.DataFrame, change: near.OnePerson) -> None:
    bench.compare("train events", events, change, train_events(*INPUT))
