"""kill -9 at random moments of the whole pipeline, and what is left of it each time.

    python benchmarks/kills.py [--kills 300] [--seed 1]

A process reads a small panel, charges the ledger, draws noise (every fifth one trains by DP-SGD), fits,
evaluates and records, and is killed at a moment drawn uniformly from the time it takes. Then the same
request is made once more and left alone. Counted are kills, where they struck, and breaches: a noise
that no committed entry paid for, a committed entry that is lost, two noises under one entry, a run in
the list whose files are not whole, a request that does not come to one release, a ledger that does not
verify. Exit 1 if there is any breach. Figures are not drawn: what matrix of pixels a report has is not
what a crash can break.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from dp.ledger import Ledger, verify
from dp.permit import Permit
from flows.forecasting.forecast import forecast_run
from flows.pipeline import report
from flows.pipeline.completed import Completed
from flows.pipeline.result import RunResult
from flows.pipeline.steps import (
    evaluate_step,
    ingest_step,
    privatise_step,
    record_step,
    train_step,
    validate_step,
    window_step,
)
from flows.recipe.recipe import from_dict
from flows.settings import Home, open_home, quiet_environment
from flows.tracking import Tracker

WHOLE = {"recipe.toml", "statement.json", "result.json", "report.html"}
STAGES = ("read", "charged", "committed", "drawn", "released", "recorded")


def recipe(csv: Path, draw: int) -> dict[str, Any]:
    """A request of its own for every number."""
    gradient = draw % 5 == 4
    privacy = {
        "mechanism": "gradient" if gradient else "input",
        "epsilon": 8.0,
        "delta": 1e-6,
        "unit": "interval-1" if gradient else "user-day",
        "draw": draw,
    }
    training = {"epochs": 2, "batch_size": 64} if gradient else {}
    model = {"name": "bigru", "hidden": 2} if gradient else {"name": "ridge"}
    source = {"name": str(csv), "max_count": 500.0}
    windows = {} if gradient else {"lags": 2, "around": 0, "seasons": 0, "validation": "0d"}
    return {
        "source": source,
        "privacy": privacy,
        "training": training,
        "model": model,
        "windows": windows,
    }


def pipeline(values: dict[str, Any], home: Home, at: Callable[[str], None]) -> RunResult:
    """The steps of `flows.pipeline.train.train`, without Prefect around them."""
    started, plan = time.perf_counter(), from_dict(values)
    table = ingest_step.fn(plan)
    raw, findings = validate_step.fn(table, plan.source.max_gap)
    at("read")
    privatised = privatise_step.fn(raw, plan, home)
    prepared = window_step.fn(privatised, raw, plan)
    with Tracker(home).run("trial", raw.source) as run:
        fitted = train_step.fn(prepared, plan, privatised.guarantee, home, run.log_epoch)
        at("released")
        evaluation = evaluate_step.fn(fitted, prepared, ridge=False)
        completed = Completed(plan, findings, privatised, prepared, fitted, evaluation, started)
        result = record_step.fn(completed, run, home)
    at("recorded")
    return result


def witness(folder: Path, at: Callable[[str], None]) -> None:
    """Note, outside the ledger, what it committed and what was drawn with whose permit."""

    def note(name: str, text: object) -> None:
        with (folder / name).open("a") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())

    reserve, commit, use = Ledger.reserve, Ledger.commit, Permit.use

    def reserving(self: Ledger, *arguments: Any, **options: Any) -> Any:
        entry = reserve(self, *arguments, **options)
        at("charged")
        return entry

    def committing(self: Ledger, entry: Any, *arguments: Any, **options: Any) -> Permit:
        permit = commit(self, entry, *arguments, **options)
        note("committed", entry.id)
        at("committed")
        return permit

    def using(self: Permit, purpose: str, event: Any) -> None:
        use(self, purpose, event)
        note("drawn", f"{self.entry} {purpose}")  # from here on noise may be drawn
        at("drawn")

    Ledger.reserve, Ledger.commit, Permit.use = reserving, committing, using  # type: ignore[method-assign]


def forked(work: Callable[[], Any]) -> tuple[int, Any]:
    """Run in a process of its own; its wait status and result. Connections are never shared."""
    into, out = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(into)
        code = 1
        try:
            os.write(out, json.dumps(work()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(out)
    with os.fdopen(into) as file:
        told = file.read()
    _, status = os.waitpid(child, 0)
    return status, json.loads(told) if told else None


def killed(work: Callable[[], Any], after: float) -> bool:
    """Run in a process of its own and kill it; whether it still ran."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def looked_at(home: Home, folder: Path, *, whole: bool) -> list[str]:
    """Breaches, in words; `whole` recomputes the ledger's chain and totals as well."""
    ledger = Ledger(home.database_url)
    states = {entry.id: entry.state for entry in ledger.entries()}
    found = []
    drawn = _lines(folder / "drawn")
    found += [
        f"drawn without a committed entry: {line}"
        for line in drawn
        if states.get(int(line.split()[0])) not in ("committed", "released")
    ]
    found += [
        f"drawn twice: {line}" for line, times in collections.Counter(drawn).items() if times > 1
    ]
    found += [
        f"committed and lost: {line}"
        for line in _lines(folder / "committed")
        if states.get(int(line)) not in ("committed", "released")
    ]
    if whole and not (verdict := verify(ledger)).holds:
        found += [f"ledger: {what}" for _, what in verdict.broken]
    return found


def recorded(home: Home) -> list[str]:
    """Runs in the list whose files are not whole."""
    tracker = Tracker(home)
    return [
        f"run {run['run_id']} is listed and lacks files"
        for run in tracker.runs()
        if not {path.name for path in tracker.files(run["run_id"]).iterdir()} >= WHOLE
    ]


def resumed(values: dict[str, Any], home: Home) -> list[str]:
    """The same request, left alone, and a forecast from its run."""
    result = pipeline(values, home, lambda _: None)
    files = Tracker(home).files(result.run_id)
    ahead = forecast_run(files, home)
    bad = [] if np.isfinite(ahead.values.to_numpy()).all() else ["the forecast is not finite"]
    mine = [
        one
        for one in Ledger(home.database_url).entries()
        if one.recipe["privacy"]["draw"] == values["privacy"]["draw"]
    ]
    done = sum(entry.state == "released" for entry in mine)
    return bad if done == 1 else [*bad, f"{done} releases of one request"]


def _made(folder: Path) -> Path:
    for name in ("artifacts", "reports"):
        (folder / name).mkdir(parents=True)
    return folder


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--kills", type=int, default=300)
    arguments.add_argument("--seed", type=int, default=1)
    asked = arguments.parse_args()
    chance, started = random.Random(asked.seed), time.perf_counter()
    torch.set_num_threads(
        1
    )  # a pool of threads does not outlive a fork: children would wait for it
    report.figure = lambda *_, **__: b"png"
    report.promise_figure = lambda *_, **__: None
    with tempfile.TemporaryDirectory(prefix="kills-") as place:
        folder = Path(place)
        os.environ["VEILCAST_HOME"] = str(folder / "var")
        os.environ.pop("VEILCAST_DATABASE_URL", None)
        home = open_home()
        quiet_environment(home)
        times = pd.date_range("2024-01-01", periods=12 * 35, freq="2h", name="time")
        values = np.random.default_rng(0).integers(0, 300, (len(times), 2))
        csv = folder / "counts.csv"
        pd.DataFrame(values, times, ["north", "south"]).to_csv(csv)
        stage = folder / "stage"

        def at(name: str) -> None:
            stage.write_text(name)

        def warm(scratch: Home) -> None:
            """Load, once for all children, what they would spend their time on; on a home of its own."""
            for draw in (-2, -1):  # a ridge and a training
                resumed(recipe(csv, draw), scratch)

        warm(Home(_made(folder / "scratch")))
        witness(folder, at)
        spans = []
        for first in (
            -3,
            -1,
            -2,
        ):  # the first one makes the databases; then a training, and a ridge
            begun = time.perf_counter()
            status, bad = forked(lambda first=first: resumed(recipe(csv, first), home))
            if status or bad:
                raise SystemExit(f"the pipeline does not run: {bad}")
            spans.append(time.perf_counter() - begun)
        breaches: list[str] = []
        struck: collections.Counter[str] = collections.Counter()
        kills = trial = late = 0
        while kills < asked.kills:
            mine = recipe(csv, trial)
            span = spans[1] if trial % 5 == 4 else spans[2]
            stage.write_text("reading")
            if killed(lambda mine=mine: pipeline(mine, home, at), chance.uniform(0, span)):
                kills += 1
                struck[stage.read_text()] += 1
            else:
                late += 1
            trial += 1
            whole = trial % 25 == 0 or kills == asked.kills
            status, found = forked(
                lambda mine=mine, whole=whole: [
                    *looked_at(home, folder, whole=whole),
                    *resumed(mine, home),
                ]
            )
            breaches += found if status == 0 else [f"request {trial - 1} could not be made again"]
        status, found = forked(lambda: [*looked_at(home, folder, whole=True), *recorded(home)])
        breaches += found if status == 0 else ["the ledger or the list of runs could not be read"]
        _, entries = forked(lambda: len(Ledger(home.database_url).entries()))
    print(
        json.dumps(
            {
                "kills": kills,
                "finished_first": late,
                "last_seen": dict(struck),
                "entries": entries,
                "breaches": breaches,
                "pipeline_seconds": {"ridge": round(spans[2], 2), "training": round(spans[1], 2)},
                "seconds": round(time.perf_counter() - started, 1),
                "ratio_of_breaches_to_kills": len(breaches) / kills,
            },
            indent=2,
        )
    )
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
