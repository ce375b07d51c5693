"""Two files that differ by one person go in; everything that comes out is compared.

Noise is drowned (`drowned.py`), so that whatever differs is something that the noise does not cover.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis.strategies import SearchStrategy
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
from tests.trust.published import (
    Published,
    differences,
    fingerprints,
    prefect_rows,
    published,
)

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

    def compare(self, name: str, change: Any) -> None:
        """Fail with every place where a neighbour's differs."""
        scenario = SCENARIOS[name]
        base, steps = scenario.base(), scenario.steps
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


ONE_MORE = near.OneDay(2, ((5, "harbour"),), 1)
"""Somebody in the region that never changes, which then does."""
ALONE = near.OnePerson(None, ((-9_000, near.RARE), (40 * 1440, "north")))
"""Somebody before and after everybody else, in a place of their own."""
CROWD = near.OneInterval(100, (900, 100, 400, 300))
"""One interval in which everybody was out."""
POISON = near.OneInterval(100, (1e25, 5, 6, 7))
"""A count whose square no float holds."""


def ingest(*words: str, more: tuple[str, ...] = ()) -> Steps:
    def steps(bench: Bench, place: Path) -> None:
        command = ("ingest", bench.source, *PROMISE, *words, *with_settings(*BOUND, *more))
        bench.command(*command, "--until", f"{near.START + pd.Timedelta(days=20):%Y-%m-%d}")
        bench.command(*command, "--json")
        bench.asked()

    return steps


def schedule(bench: Bench, place: Path) -> None:
    """What a deployment does, in its order; a part of the table comes later."""
    frame = pd.read_csv(bench.source, parse_dates=["time"])
    url = f"sqlite:///{place / 'source.db'}"
    engine = create_engine(url)
    first = len(frame) - 3 * near.STEPS - 5
    plan = {
        "source": {"name": f"{url}#counts", "account": "city", "regions_per_interval": near.M},
        "privacy": {"unit": "user-day", "epsilon": 1.0, "delta": 1e-6,
                    "intervals_per_unit": near.K},
        "windows": {"lags": 3, "test": "4d", "validation": "0d", "around": 0, "seasons": 0},
        "model": {"name": "ridge"},
    }  # fmt: skip
    for start, end in ((0, first), (first, len(frame))):
        frame.iloc[start:end].to_sql("counts", engine, if_exists="append", index=False)
        for name in ("forecast", "ingest", "audit"):
            made = getattr(jobs, name)(plan)
            bench.said[f"{name} until {end}"] = f"exit 0\n{json.dumps(made, default=str)}"
    engine.dispose()
    bench.asked("runs --json")
    client = TestClient(make_app(open_store(open_home().database_url), TOKEN))
    for path in ("/health", "/v1/streams", "/v1/forecasts?stream=city", "/v1/forecasts?stream=town",
                 "/openapi.json"):  # fmt: skip
        answer = client.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
        bench.said[path] = f"exit 0\n{answer.status_code}\n{answer.text}"
    run = json.loads(bench.said["/v1/forecasts?stream=city"].partition("200\n")[2])["run"]
    answer = client.get(f"/v1/statements/{run}", headers={"Authorization": f"Bearer {TOKEN}"})
    bench.said["/v1/statements"] = f"exit 0\n{answer.text}"


def sweep(bench: Bench, place: Path) -> None:
    words = ("sweep", "--source", bench.source, "--mechanism", "input", "--epsilon", "1,2",
             "--unit", "user-day", "--delta", "1e-6", "--model", "ridge", "--seeds", "1", "-q",
             *with_settings(*BOUND, *WINDOWS))  # fmt: skip
    bench.command(*words, "--dry-run", "--json")
    bench.command(*words, "--json")
    bench.asked()


def plan_counts(bench: Bench, place: Path) -> None:
    bench.command("plan", bench.source, "--regions-per-interval", near.M, "--unit", "user-day")
    bench.command("plan", bench.source, "--size", "100", "--unit", "user-day", "--json")


def plan_events(bench: Bench, place: Path) -> None:
    words = ("plan", bench.source, "--events", "--unit", "user-day", "--epsilon", "1",
             *with_settings(*DECLARED), "--json")  # fmt: skip
    bench.command(*words)
    bench.command(*words, "--charge", "0.5")
    bench.asked()


@dataclass(frozen=True)
class Scenario:
    """What is done with a file, and whom it is done without.

    Attributes:
        base: the file.
        neighbours: who may be added or taken away.
        worst: a neighbour that is tried first.
        steps: commands and flows.
    """

    base: Callable[[], pd.DataFrame]
    neighbours: SearchStrategy[Any]
    worst: Any
    steps: Steps


BY_GRADIENT = (*GRADIENT, "--epsilon", "8")
SCENARIOS = {
    "train counts": Scenario(near.counts, near.days(), ONE_MORE, train_counts(*INPUT)),
    "train events": Scenario(near.events, near.persons(), ALONE, train_events(*INPUT)),
    "train counts by gradient": Scenario(
        near.counts, near.intervals(10**6), CROWD,
        train_counts(*BY_GRADIENT, "--unit", "interval-1", more=(*TINY, "source.max_count=300")),
    ),
    "train poisoned counts by gradient": Scenario(
        near.counts, near.intervals(1e300), POISON,
        train_counts(*BY_GRADIENT, "--unit", "interval-1", more=(*TINY, "source.max_count=300")),
    ),
    "train events by gradient": Scenario(
        near.events, near.persons(), ALONE,
        train_events(*BY_GRADIENT, "--unit", "user-day", "--protect-inputs",
                     more=(*TINY, "source.max_count=300")),
    ),
    "ingest counts": Scenario(near.counts, near.days(), ONE_MORE, ingest()),
    "ingest events": Scenario(
        near.events, near.persons(), ALONE, ingest("--events", more=DECLARED)
    ),
    "schedule and service": Scenario(near.counts, near.days(), ONE_MORE, schedule),
    "sweep": Scenario(near.counts, near.days(), ONE_MORE, sweep),
    "plan for counts": Scenario(near.counts, near.days(), ONE_MORE, plan_counts),
    "plan for events": Scenario(near.events, near.persons(), ALONE, plan_events),
}  # fmt: skip


class Nothing:
    """No change at all."""

    def applied(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame


def neighbours_of(bench: Bench, name: str, count: int) -> None:
    """As many neighbours as there is time for, the same in every run."""

    @settings(
        max_examples=count, derandomize=True, deadline=None, database=None,
        phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(change=SCENARIOS[name].neighbours)
    @example(change=SCENARIOS[name].worst)
    def alike(change: Any) -> None:
        bench.compare(name, change)

    alike()


def test_the_same_file_twice_is_published_alike(bench: Bench) -> None:
    """Otherwise something that differs from run to run is not masked."""
    bench.compare("train counts", Nothing())


@pytest.mark.parametrize("name", SCENARIOS)
def test_neighbours_are_published_alike(bench: Bench, name: str) -> None:
    neighbours_of(bench, name, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_many_neighbours_are_published_alike(bench: Bench, name: str) -> None:
    neighbours_of(bench, name, 12)


# What has to be refused, and told to everybody alike


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
        bench.command("ingest", bench.source, "--events", *PROMISE,
                      *with_settings(*BOUND, "events.interval=120min"))  # fmt: skip

    _refused(bench, "an undeclared panel", near.events(), ALONE, steps)


@pytest.mark.parametrize("left_out", ["events.regions", "events.start", "events.end"])
def test_what_is_left_undeclared_is_refused(bench: Bench, left_out: str) -> None:
    told = [one for one in DECLARED if not one.startswith(left_out)]

    def steps(bench: Bench, place: Path) -> None:
        bench.command("train", "--source", bench.source, "--events", *INPUT, "-q",
                      *with_settings(*BOUND, *WINDOWS, *told))  # fmt: skip

    _refused(bench, f"a panel without {left_out}", near.events(), ALONE, steps)


def test_a_cut_over_the_whole_panel_is_refused_for_intervals(bench: Bench) -> None:
    """K per person couples all intervals, so that one of them changes far more windows than w."""

    def steps(bench: Bench, place: Path) -> None:
        bench.command("train", "--source", bench.source, "--events", *BY_GRADIENT, "-q",
                      "--unit", "interval-1", *with_settings(*BOUND, *WINDOWS, *DECLARED, *TINY,
                      "source.max_count=300"))  # fmt: skip

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
    [("time", "yesterday"), ("time", None), ("place", None), ("person", None), ("place", "a,b"),
     ("time", "2024-01-03T10:00:00+01:00")],
)  # fmt: skip
def test_one_malformed_record_is_not_told(bench: Bench, column: str, value: Any) -> None:
    """Whether somebody's record can be read is a fact about them."""
    steps = ingest("--events", more=DECLARED)
    ours = bench.published(near.events(), steps)
    theirs = bench.published(Malformed(column, value).applied(near.events()), steps)
    assert differences(ours, theirs) == []


# Fingerprints


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
