"""The same sweep on any runner; a worker that is lost costs time, and no budget."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dp.ledger import Ledger
from dp.unit.privacy_unit import PrivacyUnit
from flows.cli.app import app
from flows.errors import SetupError, UsageError
from flows.settings import Home
from flows.sweep.runners import check, chunks, threads

CITY = "synthetic:days=35,persons=600,regions=3,interval=60min"
ASKED = [
    "sweep",
    "--source",
    CITY,
    "--mechanism",
    "input,gradient",
    "--unit",
    "user-interval",
    "--epsilon",
    "2,4",
    "--model",
    "gru",
    "--optimizer",
    "adam",
    "--seeds",
    "2",
    "--json",
    "--set",
    "source.max_count=600",
    "--set",
    "training.batch_size=128",
    "--set",
    "training.epochs=30",
    "--set",
    "model.hidden=16",
    "--set",
    "windows.lags=8",
    "--set",
    "windows.seasons=0",
    "--set",
    "windows.around=0",
    "--set",
    "windows.validation=0d",
]


def veilcast(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def errors(document: dict[str, Any]) -> list[float]:
    return [row["rmse"] for row in document["table"]]


@pytest.mark.slow
def test_a_lost_worker_is_made_up_for_and_charged_once(home: Home) -> None:
    from distributed import LocalCluster

    told = veilcast(*ASKED, "--dry-run")["total"]
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        lost = threading.Thread(target=_kill_one_that_trains, args=(cluster, home))
        lost.start()
        address = cluster.scheduler_address
        document = veilcast(*ASKED, "--runner", "dask", "--address", address, "--workers", "2")
        lost.join()
    ledger = Ledger(home.database_url)
    assert len(ledger.entries()) == told["charges"] == 8
    assert {entry.state for entry in ledger.entries()} == {"released"}
    spent = ledger.spent(CITY, PrivacyUnit.USER_INTERVAL, 1e-7)
    assert spent == pytest.approx(told["units"][0]["epsilon"], rel=1e-9)
    shutil.rmtree(home.root / "sweep")  # what was trained is forgotten, what was released is not
    here = veilcast(*ASKED)
    assert here["total"]["charges"] == 0
    assert errors(here) == pytest.approx(errors(document), rel=1e-4)


def _kill_one_that_trains(cluster: Any, home: Home) -> None:
    """SIGKILL to the worker that has committed a private training, while it trains."""
    for _ in range(3000):
        time.sleep(0.1)
        if (home.root / "veilcast.db").exists():
            ledger = Ledger(home.database_url)
            if any(
                one.state == "committed" for one in ledger.entries() if one.purpose == "training"
            ):
                break
    # whose it is nobody knows: the one that has used the processor most of late
    pids = [worker.process.pid for worker in cluster.workers.values()]
    os.kill(max(pids, key=_busy), signal.SIGKILL)


def _busy(pid: int) -> int:
    def ticks() -> int:
        return int(Path(f"/proc/{pid}/stat").read_text().split()[13])

    before = ticks()
    time.sleep(0.5)
    return ticks() - before


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["processes", "ray"])
def test_other_processes_give_the_same_table(home: Home, runner: str) -> None:
    small = [*ASKED, "--set", "training.epochs=1"]
    elsewhere = veilcast(*small, "--runner", runner, "--workers", "2")
    shutil.rmtree(home.root / "sweep")
    assert errors(veilcast(*small)) == pytest.approx(errors(elsewhere), rel=1e-4)


def test_chunks_hold_what_is_alike_and_feed_all_workers() -> None:
    def recipe(model: str, seed: int) -> dict[str, Any]:
        return {
            "source": {},
            "windows": {},
            "model": {"name": model},
            "training": {"seed": seed, "epochs": 3},
            "privacy": {"mechanism": "input"},
        }

    recipes = [recipe(model, seed) for seed in range(10) for model in ("gru", "lstm")]
    for workers in (1, 2, 4, 100):
        found = chunks(recipes, workers)
        assert sorted(at for part in found for at in part) == list(range(20))
        assert len(found) >= min(workers, 20)
        assert all(len({recipes[at]["model"]["name"] for at in part}) == 1 for part in found)


def test_workers_share_the_cores() -> None:
    assert threads("here", 1) is None
    assert threads("dask", 1000) == 1


@pytest.mark.parametrize(
    ("runner", "address", "kind", "said"),
    [
        ("spark", None, UsageError, "runner='spark' is unknown; choose one of here, threads"),
        ("threads", "tcp://a:1", UsageError, "is for --runner dask or ray"),
        ("dask", "tcp://127.0.0.1:9", SetupError, "no Dask scheduler answers at tcp://127.0.0.1:9"),
        ("dask", "nonsense://", SetupError, "no Dask scheduler answers at nonsense"),
    ],
)
def test_a_runner_that_is_not_there_is_told_before_anything(
    runner: str, address: str | None, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        check(runner, address)
