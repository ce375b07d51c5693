"""The loop: new counts in a table become releases and forecasts, each once, whatever goes wrong."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import create_engine, text

from data.errors import DataError
from data.panel import Panel
from data.store import latest_forecasts, open_store, panel_releases, read_forecasts, read_panel
from data.windows import WindowSpec
from dp.ledger import Ledger, verify
from dp.release.stream_entries import streamed
from dp.unit.privacy_unit import PrivacyUnit
from flows import jobs
from flows.errors import UsageError
from flows.recipe.recipe import Recipe, from_dict
from flows.settings import Home
from flows.stream import forecast, release, retrain
from flows.stream.champion import Champion, champion

NAME = "city"


def counts(intervals: int) -> pd.DataFrame:
    """Two-hour counts with a daily rhythm, in the long form that tables have."""
    times = pd.date_range("2024-01-01", periods=intervals, freq="2h", name="time")
    rng = np.random.default_rng(3)
    wave = 300 * np.sin(np.arange(intervals) / 12 * 2 * np.pi)[:, None]
    values = (2000 + wave + rng.integers(0, 60, (intervals, 2))).astype(int)
    return pd.DataFrame(values, times, ["north", "south"])


ALL = counts(12 * 40)
PAST = 12 * 28 + 5


class Table:
    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'source.db'}"
        self.engine = create_engine(self.url)
        self.there = 0
        self.come(PAST)

    def come(self, until: int) -> None:
        ALL.iloc[self.there : until].reset_index().to_sql(
            "counts", self.engine, if_exists="append", index=False
        )
        self.there = until


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


def recipe_for(table: Table, **privacy: object) -> Recipe:
    return from_dict(
        {
            "source": {"name": f"{table.url}#counts", "account": NAME, "regions_per_interval": 1},
            "privacy": {"unit": "user-day", "epsilon": 2.0, "delta": 1e-6, **privacy},
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


def ingest(recipe: Recipe, home: Home) -> release.Ingested:
    return release.release(recipe, home, release.arrived(recipe, home))


def charges(home: Home, unit: PrivacyUnit = PrivacyUnit.USER_DAY) -> int:
    return len(streamed(Ledger(home.database_url), NAME, unit))


def noised(home: Home) -> Panel:
    return read_panel(open_store(home.database_url), NAME)


@pytest.fixture
def opened(home: Home) -> Home:
    for folder in (home.root, home.artifacts, home.reports):
        folder.mkdir(parents=True)
    return home


def test_every_interval_is_released_once(table: Table, opened: Home) -> None:
    recipe = recipe_for(table)
    first = ingest(recipe, opened)
    assert (first.new, len(first.entries)) == (PAST, 2)  # whole days, and the day that goes on
    before = noised(opened).counts
    assert ingest(recipe, opened).new == 0
    table.come(PAST + 3)
    assert ingest(recipe, opened).new == 3
    with table.engine.begin() as connection:  # what was released is closed, whatever is corrected
        connection.execute(text("UPDATE counts SET north = north + 500"))
    assert ingest(recipe, opened).new == 0
    after = noised(opened).counts
    pd.testing.assert_frame_equal(after.iloc[:PAST], before, check_freq=False)
    assert len(after) == PAST + 3
    assert charges(opened) == 3
    assert verify(Ledger(opened.database_url)).holds
    assert not np.array_equal(after.to_numpy(), ALL.iloc[: PAST + 3].to_numpy())
    assert np.abs(after.to_numpy() - ALL.iloc[: PAST + 3].to_numpy()).mean() < 30


def test_an_interval_that_is_not_whole_waits(table: Table, opened: Home) -> None:
    recipe = recipe_for(table)
    ingest(recipe, opened)
    half = ALL.iloc[[PAST]].reset_index().assign(south=None)
    half.to_sql("counts", table.engine, if_exists="append", index=False)
    assert ingest(recipe, opened).new == 0
    with table.engine.begin() as connection:
        connection.execute(text("UPDATE counts SET south = 7 WHERE south IS NULL"))
    assert ingest(recipe, opened).new == 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"time": "2024-01-29 11:00:00.000000", "north": 1, "south": 2}, "grid of 120 minutes"),
        ({"time": "2024-01-29 10:00:00.000000", "north": -1, "south": 2}, "negative-count"),
        ({"time": "some day", "north": 1, "south": 2}, "cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused(
    table: Table, opened: Home, row: dict[str, object], said: str
) -> None:
    recipe = recipe_for(table)
    ingest(recipe, opened)
    engine = table.engine
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO counts VALUES (:time, :north, :south)"), row)
    with pytest.raises(DataError, match=said):
        ingest(recipe, opened)
    assert charges(opened) == 2


def test_a_crash_between_ledger_and_store_loses_nothing(
    table: Table, opened: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_for(table)
    ingest(recipe, opened)
    table.come(PAST + 2)

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(release, "publish", dies)
    with pytest.raises(KeyboardInterrupt):
        ingest(recipe, opened)
    monkeypatch.undo()
    assert charges(opened) == 3
    table.come(PAST + 4)  # more has come meanwhile: the two that were released are not noised again
    monkeypatch.setenv("VEILCAST_HOME", str(opened.root))
    assert ingest(recipe, opened).new == 2
    assert charges(opened) == 4
    assert noised(opened).observed.sum() == PAST + 4


def test_two_at_once_release_once(table: Table, opened: Home) -> None:
    recipe = recipe_for(table)
    ingest(recipe, opened)
    table.come(PAST + 4)
    raw = release.arrived(recipe, opened)  # both have read before either writes
    done: list[release.Ingested] = []
    both = [
        threading.Thread(target=lambda: done.append(release.release(recipe, opened, raw)))
        for _ in range(2)
    ]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(one.new for one in done) == [0, 4]
    assert charges(opened) == 3


def test_training_is_promoted_with_proof_and_if_better(table: Table, opened: Home) -> None:
    recipe = recipe_for(table)
    ingest(recipe, opened)
    first = retrain.retrain(recipe, opened)
    assert first.promoted, first.because
    assert all(first.proof.values())
    assert first.result.evaluation.startswith("evaluated on released counts")
    assert "epsilon" in first.result.statement
    same = retrain.retrain(recipe, opened)
    assert not same.promoted
    assert "the present model has" in same.because
    model = champion(NAME, opened)
    assert model is not None
    assert model.run_id == first.result.run_id
    # counts that the ledger never released are no basis for a private model
    counts = noised(opened)
    other = replace(counts, counts=counts.counts + 1)
    proof = retrain.verify_provenance(NAME, other, opened)
    assert not all(proof.values())
    (piece, *_) = panel_releases(open_store(opened.database_url), NAME)
    assert piece.sigma > 0


def test_no_forecast_is_lost_or_made_twice(table: Table, opened: Home) -> None:
    recipe = recipe_for(table)
    seen = ingest(recipe, opened).seen
    retrain.retrain(recipe, opened)
    model = champion(NAME, opened)
    assert model is not None
    assert seen is not None
    assert len(forecast.write_forecasts(recipe, opened, model, seen).made) == 1
    table.come(PAST + 5)  # the loop was away for five intervals
    late = ingest(recipe, opened)
    assert late.seen is not None
    made = forecast.write_forecasts(recipe, opened, model, late.seen)
    assert len(made.made) == 5
    assert forecast.write_forecasts(recipe, opened, model, late.seen).rows == 0
    store = open_store(opened.database_url)
    rows = read_forecasts(store, NAME)
    assert len(rows) == 6 * 2
    last = latest_forecasts(store, NAME)
    assert set(last["run"]) == {model.run_id}
    assert last["unit"].iloc[0] == "user-day"
    assert last["epsilon"].iloc[0] <= 2.0
    assert (last["lower"] <= last["value"]).all()
    assert (last["value"] <= last["upper"]).all()
    # what was forecast late is what would have been forecast in time
    cut = noised(opened)
    early = replace(cut, counts=cut.counts.iloc[: PAST + 2])
    again = forecast._windows(early, _spec(model), early.times[-1])
    assert again.past[-1] == pytest.approx(early.values[-4:])


def _spec(model: Champion) -> WindowSpec:
    from models.checkpoint import open_model

    return open_model(model.files).spec


def test_the_registry_may_be_away(
    table: Table, opened: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_for(table)
    ingest(recipe, opened)
    retrain.retrain(recipe, opened)
    known = champion(NAME, opened)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    away = champion(NAME, opened)
    assert known is not None
    assert away is not None
    assert (away.run_id, away.current) == (known.run_id, False)


class Hook(BaseHTTPRequestHandler):
    got: list[dict[str, str]]

    def do_POST(self) -> None:
        self.got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, str]]]:
    Hook.got = []
    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("VEILCAST_WEBHOOK", f"http://127.0.0.1:{server.server_port}/secret")
    yield Hook.got
    server.shutdown()
    server.server_close()


def test_an_exhausted_budget_stops_releases_and_forecasts_go_on(
    table: Table, opened: Home, hook: list[dict[str, str]]
) -> None:
    lasts = f"{(PAST + 1) * 2}h"
    recipe = recipe_for(table, unit="user")
    recipe = replace(recipe, stream=replace(recipe.stream, lasts=lasts))
    first = jobs.forecast(recipe.to_dict())
    assert (first["new"], first["refused"], hook) == (PAST, None, [])
    assert len(first["forecasts"]) == 1
    table.come(PAST + 1)
    assert jobs.forecast(recipe.to_dict())["new"] == 1
    for more in (2, 3):
        table.come(PAST + more)
        done = jobs.forecast(recipe.to_dict())
        assert done["new"] == 0
        assert "refused, nothing was drawn" in done["refused"]
        assert len(done["forecasts"]) == 1  # of the moment that the source has reached
    assert charges(opened, PrivacyUnit.USER) == 2 + 0
    assert [one["event"] for one in hook] == ["budget-refused"]  # once, not every interval
    assert "forecasts go on" in hook[0]["message"]
    assert jobs.audit(recipe.to_dict())["checks"]


def test_failures_are_told_without_a_count(
    table: Table, opened: Home, hook: list[dict[str, str]]
) -> None:
    recipe = recipe_for(table)
    with table.engine.begin() as connection:
        connection.execute(text("UPDATE counts SET north = -1234567 WHERE south > 0"))
    with pytest.raises(DataError):
        jobs.ingest(recipe.to_dict())
    assert [one["event"] for one in hook] == ["failed"]
    assert "negative-count" in hook[0]["message"]
    assert "1234567" not in json.dumps(hook)


@pytest.mark.parametrize("mechanism", ["none", "gradient"])
def test_only_released_counts_go_into_shared_tables(
    table: Table, opened: Home, mechanism: str
) -> None:
    values = recipe_for(table).to_dict()
    values["privacy"]["mechanism"] = mechanism
    if mechanism == "gradient":
        values["model"] = {"name": "gru"}
        values["windows"] |= {"around": 0, "seasons": 0, "calibration": "0d"}
    with pytest.raises(UsageError, match=r"privacy\.mechanism=input"):
        jobs.forecast(values)


def test_a_long_table_with_nothing_new(table: Table, opened: Home) -> None:
    long = ALL.iloc[:PAST].reset_index().melt("time", var_name="region", value_name="count")
    long.to_sql("long", table.engine, index=False)
    values = recipe_for(table).to_dict()
    values["source"]["name"] = f"{table.url}#long"
    recipe = from_dict(values)
    assert ingest(recipe, opened).new == PAST
    assert ingest(recipe, opened).new == 0
