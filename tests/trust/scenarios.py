"""What is done with neighbouring files: every command and flow that publishes something."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from fastapi.testclient import TestClient
from hypothesis.strategies import SearchStrategy
from sqlalchemy import create_engine

from data.store import open_store
from flows import jobs
from flows.service.app import make_app
from flows.settings import open_home
from tests.trust import neighbouring as near
from tests.trust.bench import TOKEN, Bench, Steps, with_settings

WINDOWS = ("windows.lags=3", "windows.test=4d", "windows.validation=0d")
BOUND = (f"source.regions_per_interval={near.M}", f"privacy.intervals_per_unit={near.K}")
DECLARED = (
    "events.interval=120min",
    f"events.regions={json.dumps(near.PLACES)}",
    f"events.start={near.START:%Y-%m-%dT%H:%M}".replace("=", '="') + '"',
    f"events.end={near.END:%Y-%m-%dT%H:%M}".replace("=", '="') + '"',
)
PROMISE = ("--unit", "user-day", "--epsilon", "1", "--delta", "1e-6")
INPUT = ("--mechanism", "input", *PROMISE, "--model", "ridge")
GRADIENT = ("--mechanism", "gradient", "--delta", "1e-6", "--model", "gru", "--optimizer", "sgd")
TINY = (
    "model.hidden=2",
    "training.epochs=2",
    "training.batch_size=64",
    "windows.around=0",
    "windows.seasons=0",
    "windows.calibration=0d",
)


def train_counts(*words: str, more: tuple[str, ...] = ()) -> Steps:
    bound = BOUND[:1] if "interval-1" in words else BOUND  # which nothing may be cut for

    def steps(bench: Bench, place: Path) -> None:
        bench.command(
            "train",
            "--source",
            bench.source,
            *words,
            "-q",
            "--json",
            *with_settings(*bound, *WINDOWS, *more),
        )
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
        "privacy": {
            "unit": "user-day",
            "epsilon": 1.0,
            "delta": 1e-6,
            "intervals_per_unit": near.K,
        },
        "windows": {"lags": 3, "test": "4d", "validation": "0d", "around": 0, "seasons": 0},
        "model": {"name": "ridge"},
    }
    for start, end in ((0, first), (first, len(frame))):
        frame.iloc[start:end].to_sql("counts", engine, if_exists="append", index=False)
        for name in ("forecast", "ingest", "audit"):
            made = getattr(jobs, name)(plan)
            bench.said[f"{name} until {end}"] = f"exit 0\n{json.dumps(made, default=str)}"
    engine.dispose()
    bench.asked("runs --json")
    client = TestClient(make_app(open_store(open_home().database_url), TOKEN))
    for path in (
        "/health",
        "/v1/streams",
        "/v1/forecasts?stream=city",
        "/v1/forecasts?stream=town",
        "/openapi.json",
    ):
        answer = client.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
        bench.said[path] = f"exit 0\n{answer.status_code}\n{answer.text}"
    run = json.loads(bench.said["/v1/forecasts?stream=city"].partition("200\n")[2])["run"]
    answer = client.get(f"/v1/statements/{run}", headers={"Authorization": f"Bearer {TOKEN}"})
    bench.said["/v1/statements"] = f"exit 0\n{answer.text}"


def sweep(bench: Bench, place: Path) -> None:
    words = (
        "sweep",
        "--source",
        bench.source,
        "--mechanism",
        "input",
        "--epsilon",
        "1,2",
        "--unit",
        "user-day",
        "--delta",
        "1e-6",
        "--model",
        "ridge",
        "--seeds",
        "1",
        "-q",
        *with_settings(*BOUND, *WINDOWS),
    )
    bench.command(*words, "--dry-run", "--json")
    bench.command(*words, "--json")
    bench.asked()


def plan_counts(bench: Bench, place: Path) -> None:
    bench.command("plan", bench.source, "--regions-per-interval", near.M, "--unit", "user-day")
    bench.command("plan", bench.source, "--size", "100", "--unit", "user-day", "--json")


def plan_events(bench: Bench, place: Path) -> None:
    words = (
        "plan",
        bench.source,
        "--events",
        "--unit",
        "user-day",
        "--epsilon",
        "1",
        *with_settings(*DECLARED),
        "--json",
    )
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
        near.counts,
        near.intervals(10**6),
        CROWD,
        train_counts(*BY_GRADIENT, "--unit", "interval-1", more=(*TINY, "source.max_count=300")),
    ),
    "train poisoned counts by gradient": Scenario(
        near.counts,
        near.intervals(1e300),
        POISON,
        train_counts(*BY_GRADIENT, "--unit", "interval-1", more=(*TINY, "source.max_count=300")),
    ),
    "train events by gradient": Scenario(
        near.events,
        near.persons(),
        ALONE,
        train_events(
            *BY_GRADIENT,
            "--unit",
            "user-day",
            "--protect-inputs",
            more=(*TINY, "source.max_count=300"),
        ),
    ),
    "ingest counts": Scenario(near.counts, near.days(), ONE_MORE, ingest()),
    "ingest events": Scenario(
        near.events, near.persons(), ALONE, ingest("--events", more=DECLARED)
    ),
    "schedule and service": Scenario(near.counts, near.days(), ONE_MORE, schedule),
    "sweep": Scenario(near.counts, near.days(), ONE_MORE, sweep),
    "plan for counts": Scenario(near.counts, near.days(), ONE_MORE, plan_counts),
    "plan for events": Scenario(near.events, near.persons(), ALONE, plan_events),
}
