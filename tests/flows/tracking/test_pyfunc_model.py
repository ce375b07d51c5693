"""A promoted model as MLflow serves it: the same forecasts, from files that anybody can run."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
from sqlalchemy import create_engine

from flows.errors import UsageError
from flows.recipe.recipe import Recipe, from_dict
from flows.settings import Home
from flows.stream import forecast, release, retrain
from flows.stream.champion import champion
from flows.tracking import Tracker
from flows.tracking.model_registry import Models, model_name

NAME = "people/of: town"


@pytest.fixture
def promoted(home: Home, tmp_path: Path) -> tuple[Recipe, str]:
    for folder in (home.root, home.artifacts, home.reports):
        folder.mkdir(parents=True)
    times = pd.date_range("2024-01-01", periods=12 * 24, freq="2h", name="time")
    rng = np.random.default_rng(8)
    wave = 70_000 * np.sin(np.arange(len(times)) / 12 * 2 * np.pi)[:, None]
    counts = (7_000_000 + wave + rng.integers(0, 9_999, (len(times), 2))).astype(int)
    url = f"sqlite:///{tmp_path / 'source.db'}"
    frame = pd.DataFrame(counts, times, ["north side", "süd"])
    frame.reset_index().to_sql("counts", create_engine(url), index=False)
    recipe = from_dict(
        {
            "source": {"name": f"{url}#counts", "account": NAME},
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
    )
    release.release(recipe, home, release.arrived(recipe, home))
    done = retrain.retrain(recipe, home)
    assert done.promoted, done.because
    return recipe, done.result.run_id


def test_registered_with_signature_and_a_made_up_example(
    home: Home, promoted: tuple[Recipe, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, run = promoted
    name = model_name(NAME)
    assert name == "people-of- town"
    mlflow.set_tracking_uri(home.tracking_uri)
    version = mlflow.MlflowClient().get_model_version_by_alias(name, "champion")
    assert (version.run_id, version.tags["unit"]) == (run, "user-day")
    assert "released" in version.tags["proof"]
    served = mlflow.pyfunc.load_model(f"models:/{name}@champion")
    columns = [column.name for column in served.metadata.signature.inputs]
    assert columns == ["time", "north side", "süd"]
    files = Tracker(home).files(run)
    example = json.loads((files / "serving" / "example.json").read_text())
    values = np.array(example["dataframe_split"]["data"])[:, 1:].astype(float)
    assert values.max() < 100_000  # the made-up city's; these counts are in millions
    # from released counts it forecasts what the loop wrote
    counts = release.panel(recipe, home)
    model = champion(NAME, home)
    assert model is not None
    seen = counts.times[-1] + counts.interval
    forecast.write_forecasts(recipe, home, model, seen)
    from data.store import latest_forecasts, open_store

    written = latest_forecasts(open_store(home.database_url), NAME).set_index("region")
    answer = served.predict(counts.counts.reset_index(), params={"level": 0.9}).set_index("region")
    for ours, theirs in (("value", "forecast"), ("lower", "low"), ("upper", "high")):
        assert written[ours].to_dict() == pytest.approx(answer[theirs].to_dict(), abs=0.011)


def test_mlflow_serves_it(home: Home, promoted: tuple[Recipe, str]) -> None:
    _, run = promoted
    place = Models(home).packaged(run)  # there already
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    beside = (
        f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # MLflow calls uvicorn
    )
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": home.tracking_uri,
        "PYTHONPATH": "",
        "PATH": beside,
    }
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "--env-manager",
        "local",
        "--port",
        str(port),
        "--model-uri",
        place,
    ]
    with open(home.root / "served.log", "wb") as log:
        server = subprocess.Popen(
            command, env=environment, cwd=home.root, stdout=log, stderr=log, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    example = (Tracker(home).files(run) / "serving" / "example.json").read_text()
    head = {"content-type": "application/json"}
    try:
        end = time.monotonic() + 120
        while True:
            try:
                httpx.get(f"{address}/ping", timeout=5).raise_for_status()
                break
            except httpx.HTTPError:
                assert server.poll() is None, (home.root / "served.log").read_text()
                assert time.monotonic() < end
                time.sleep(0.5)
        answer = httpx.post(f"{address}/invocations", content=example, headers=head, timeout=60)
        assert answer.status_code == 200, answer.text
        rows = answer.json()["predictions"]
        assert [row["region"] for row in rows] == ["north side", "süd"]
        assert all(row["low"] <= row["forecast"] <= row["high"] for row in rows)
        bad = httpx.post(f"{address}/invocations", content='{"dataframe_split": {}}', headers=head)
        assert bad.status_code == 400
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


def test_an_experiment_a_data_set(home: Home, promoted: tuple[Recipe, str]) -> None:
    _, run = promoted
    mlflow.set_tracking_uri(home.tracking_uri)
    (experiment,) = mlflow.search_experiments(filter_string="tags.veilcast = 'true'")
    assert experiment.name == NAME
    found = mlflow.get_run(run)
    assert "counts until 2024-01-25" in found.info.run_name
    assert found.data.tags["epsilon"] == found.data.params["epsilon"]
    assert {"report.html", "statement.json", "statement.md", "forecast.png", "statement.png"} <= {
        file.path for file in mlflow.MlflowClient().list_artifacts(run)
    }
    assert Tracker(home).runs()[0]["run_id"] == run
    with pytest.raises(UsageError, match="no run"):
        Tracker(home).find("zzz")
