"""The whole stack as processes: a schedule fires, servers come and go, nothing is lost or paid twice."""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import psycopg
import pytest
from sqlalchemy import create_engine

from data.errors import DataError
from data.store import latest_forecasts, open_store, read_forecasts, read_panel, read_runs
from dp.errors import LedgerError
from dp.ledger import Entry, Ledger, verify
from dp.ledger.groups import span_of
from dp.release.stream_entries import streamed
from dp.unit.privacy_unit import PrivacyUnit
from flows.errors import SetupError, UsageError
from flows.stack import postgres, processes, stack
from flows.stack.places import MARK, Places, open_places

pytestmark = pytest.mark.stack

NAME = "city"
PATIENCE = 240
TIMES = pd.date_range("2024-01-01", periods=12 * 40, freq="2h", name="time")
COUNTS = pd.DataFrame(
    (
        2000
        + 300 * np.sin(np.arange(480) / 12 * 2 * np.pi)[:, None]
        + np.arange(960).reshape(480, 2) % 61
    ).astype(int),
    TIMES,
    ["north", "south"],
)
PAST = 12 * 28 + 5
RECIPE: dict[str, Any] = {
    "source": {"name": "${VEILCAST_COUNTS_URL}#counts", "account": NAME, "regions_per_interval": 1},
    "privacy": {"unit": "user-day", "epsilon": 2.0, "delta": 1e-6},
    "windows": {
        "lags": 4,
        "around": 1,
        "seasons": 2,
        "test": "4d",
        "validation": "0d",
        "calibration": "7d",
    },
    "model": {"name": "ridge"},
}


class Running:
    """A stack, a table that counts arrive in, and runs that can be started and waited for."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.api = httpx.Client(base_url=f"{places.url('prefect')}/api", timeout=60)
        url = places.database("counts", driver="+psycopg")
        self.table = create_engine(url, pool_pre_ping=True)
        self.there = 0
        self.come(PAST)

    def come(self, more: int) -> None:
        new = COUNTS.iloc[self.there : self.there + more]
        new.reset_index().to_sql("counts", self.table, if_exists="append", index=False)
        self.there += more

    def start(self, flow: str = "forecast") -> str:
        made = self.api.get(f"/deployments/name/{flow}/{NAME}").raise_for_status().json()
        place = f"/deployments/{made['id']}/create_flow_run"
        run: str = self.api.post(place, json={}).raise_for_status().json()["id"]
        return run

    def state(self, run: str) -> str:
        try:
            answer = self.api.get(f"/flow_runs/{run}").raise_for_status().json()
        except httpx.HTTPError:  # the server is being restarted
            return "UNKNOWN"
        return str(answer["state_type"])

    def wait(self, run: str, until: Callable[[str], bool]) -> str:
        return str(waited(lambda: self.state(run), until))

    def ends(self, run: str) -> str:
        return self.wait(run, {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}.__contains__)

    def why(self, run: str) -> str:
        """What a run ended with, in words."""
        answer = self.api.get(f"/flow_runs/{run}").raise_for_status().json()
        return f"{answer['name']}: {answer['state'].get('message')}"

    def catches_up(self, last: str = "") -> None:
        """After a run that completes: all released once, all forecast, all accounts right.

        Args:
            last: how the last run ended; one more is started if it did not complete.
        """
        if last != "COMPLETED":
            assert self.ends(self.start()) == "COMPLETED"
        ledger = Ledger(self.places.database("veilcast"))
        charges = streamed(ledger, NAME, PrivacyUnit.USER_DAY)
        assert {one.state for one in charges} == {"released"}
        intervals = sorted(
            time
            for one in charges
            for time in pd.date_range(*piece_of(one), freq="2h", inclusive="left")
        )
        assert intervals == list(TIMES[: self.there])  # each of them paid once
        assert verify(ledger).holds
        store = open_store(self.places.database("veilcast"))
        assert read_panel(store, NAME).observed.sum() == self.there
        made = read_forecasts(store, NAME)["made_at"]
        assert list(made.unique()) == list(TIMES[PAST : self.there + 1])
        assert (made.value_counts() == 2).all()  # a row a region


def piece_of(entry: Entry) -> tuple[datetime, datetime]:
    """Start and end of what was released; the first piece of a day is charged for the whole of it."""
    if "piece" in entry.event["panel"]:
        return span_of(entry.event)
    return entry.period.start, entry.period.end


def waited(look: Callable[[], Any], until: Callable[[Any], bool]) -> Any:
    end = time.monotonic() + PATIENCE
    while not until(found := look()):
        assert time.monotonic() < end, f"still {found}"
        time.sleep(0.5)
    return found


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    if not shutil.which("initdb") and not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        if os.environ.get("VEILCAST_NEEDS_POSTGRES"):
            pytest.fail("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        pytest.skip("PostgreSQL is not installed")
    root = Path(tempfile.mkdtemp(prefix="veilcast-stack-"))
    root.chmod(0o755)  # another user runs PostgreSQL if we are root
    before = dict(os.environ)
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "5"
    try:
        document = stack.up(root)
        assert all(one["up"] for one in document["services"].values()), document
        places = open_places(root)
        os.environ.update(places.environment())
        made = Running(places)
        (root / "recipe.toml").write_text(_toml())
        veilcast(
            "deploy",
            str(root / "recipe.toml"),
            "--forecast",
            "* * * * *",
            "--train",
            "",
            "--audit",
            "",
        )
        yield made
        made.api.close()
        made.table.dispose()
    finally:
        stack.down(root)
        os.environ.clear()
        os.environ.update(before)
    assert left(root) == []
    shutil.rmtree(root, ignore_errors=True)


def _toml() -> str:
    import tomlkit

    return tomlkit.dumps(RECIPE)


def veilcast(*arguments: str, code: int = 0) -> str:
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "flows", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def left(root: Path) -> list[str]:
    """Processes that still carry the stack's mark or work in its folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"{MARK}={root}/stack".encode() in environment or str(root) in command:
            found.append(command)
    return found


def test_a_schedule_fires_and_the_forecast_is_served(running: Running) -> None:
    store = open_store(running.places.database("veilcast"))
    waited(lambda: latest_forecasts(store, NAME), lambda rows: len(rows) == 2)
    deployment = running.api.get(f"/deployments/name/forecast/{NAME}").json()
    assert deployment["entrypoint"] == "flows.jobs.forecast"
    running.api.patch(f"/deployments/{deployment['id']}", json={"paused": True})
    chosen = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "COMPLETED"]}}}}
    runs = running.api.post("/flow_runs/filter", json=chosen).json()
    assert {run["auto_scheduled"] for run in runs} == {True}
    for run in runs:
        assert running.ends(run["id"]) == "COMPLETED"
    head = {"Authorization": f"Bearer {running.places.secret('api')}"}
    address = running.places.url("api")
    answer = httpx.get(f"{address}/v1/forecasts?stream={NAME}", headers=head).json()
    assert {one["region"] for one in answer["values"]} == {"north", "south"}
    assert answer["privacy"]["unit"] == "user-day"
    statement = httpx.get(f"{address}/v1/statements/{answer['run']}", headers=head).json()
    assert "differential privacy" in statement["statement"]["text"]
    assert httpx.get(f"{address}/v1/streams").status_code == 401


def test_databases_are_closed_to_other_roles(running: Running) -> None:
    places = running.places
    for role in ("mlflow", "prefect", "counts"):
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(places.database(role, "veilcast"))
    with psycopg.connect(places.database("reader", "veilcast")) as connection:
        assert connection.execute("SELECT count(*) FROM store_forecasts").fetchone()
        for table in ("store_counts", "ledger_log", "ledger_releases", "store_panels"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT * FROM {table}".encode())
            connection.rollback()
    # the same in words, for who sets up a role without rights
    reader = places.database("reader", "veilcast")
    with pytest.raises(LedgerError, match="permission denied") as denied:
        Ledger(reader).entries()
    with pytest.raises(DataError, match="permission denied"):
        read_panel(open_store(reader), NAME)
    assert places.secret("reader") not in str(denied.value)
    for secret in (places.root / "secrets").iterdir():
        assert secret.stat().st_mode & 0o777 == 0o600
    assert (places.root / "env").stat().st_mode & 0o777 == 0o600


def test_postgres_is_restarted_in_the_middle_of_a_run(running: Running) -> None:
    running.come(3)
    run = running.start()
    running.wait(run, {"RUNNING", "COMPLETED"}.__contains__)
    postgres.stop(running.places, mode="immediate")
    time.sleep(2)
    postgres.serve(running.places)
    assert running.ends(run) in {"COMPLETED", "FAILED", "CRASHED"}
    running.come(1)
    running.catches_up()


def test_the_prefect_server_is_restarted(running: Running) -> None:
    running.come(2)
    run = running.start()
    running.wait(run, {"RUNNING", "COMPLETED"}.__contains__)
    processes.stop(running.places, "prefect")
    server = stack.prefect(running.places)
    processes.start(running.places, server)
    processes.wait(running.places, server)
    ended = running.ends(run)
    assert ended in {"COMPLETED", "FAILED", "CRASHED"}
    running.catches_up(ended)


def test_two_workers_and_mlflow_away(running: Running) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    assert running.ends(running.start()) == "COMPLETED"  # there is a model by now
    second = stack.worker(running.places, "second", port)
    processes.start(running.places, second)
    processes.stop(running.places, "mlflow")
    try:
        running.come(2)
        runs = [running.start("ingest"), running.start()]
        for run in runs:
            assert running.ends(run) == "COMPLETED", running.why(run)
        running.catches_up("COMPLETED")
        pool = running.api.post("/work_pools/veilcast/workers/filter", json={}).json()
        assert {"worker", "second"} <= {one["name"] for one in pool}
    finally:
        processes.stop(running.places, "second")
        mlflow = stack.mlflow(running.places)
        processes.start(running.places, mlflow)
    processes.wait(running.places, mlflow)


def shown(address: str, wait: int = 20_000) -> str:
    """A page as a browser without a screen has it in the end."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as profile:
        command = [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={profile}",
            f"--virtual-time-budget={wait}",
            "--dump-dom",
            address,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout


def test_pages_in_a_browser(running: Running) -> None:
    assert running.ends(running.start("train")) == "COMPLETED"
    store = open_store(running.places.database("veilcast"))
    two = [run.run for run in read_runs(store, NAME)][:2]
    assert len(two) == 2
    page = shown(f"{running.places.url('api')}/docs")
    for word in ("/v1/forecasts", "/v1/statements/{run}", "needs the token", "prediction interval"):
        assert word in page
    report = shown((running.places.home / "reports" / f"{two[0]}.html").as_uri())
    for word in ("add or remove the records", "90 % intervals", "persistence", "Recipe", "1e-06"):
        assert word in report, word
    assert not re.search(r'(src|href)="http', report)
    tracking = running.places.url("mlflow")
    found = httpx.get(
        f"{tracking}/api/2.0/mlflow/experiments/get-by-name?experiment_name={NAME}"
    ).json()
    experiment = found["experiment"]["experiment_id"]
    runs = json.dumps(two)
    compare = shown(f'{tracking}/#/compare-runs?runs={runs}&experiments=["{experiment}"]', 40_000)
    for word in ("Comparing 2 Runs", "ridge input user-day", "epsilon", "rmse", "mechanism"):
        assert word in compare, word


def test_up_twice_changes_nothing_and_taken_ports_are_named(running: Running) -> None:
    def notes() -> dict[str, str]:
        return {path.name: path.read_text() for path in running.places.root.glob("*.pid")}

    before = notes()
    assert {"mlflow.pid", "prefect.pid", "worker.pid", "api.pid"} <= set(before)
    stack.up(running.places.home)
    assert notes() == before
    with tempfile.TemporaryDirectory() as other, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=f"port {port} of mlflow is in use"):
            stack.up(Path(other), {"mlflow": port})
        assert left(Path(other)) == []
    said = veilcast("serve", "--port", str(running.places.ports["api"]), code=1)
    assert "in use by another program" in said


@pytest.mark.parametrize("cron", ["every day", "61 * * * *", "* * *"])
def test_a_schedule_that_cannot_be_parsed(cron: str) -> None:
    from flows.deploy import deployments

    with pytest.raises(
        UsageError, match=re.escape(f"the schedule {cron!r} of forecast cannot be parsed")
    ):
        deployments.deployments(RECIPE, {"forecast": cron})
