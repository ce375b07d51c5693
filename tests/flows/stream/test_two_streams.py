"""Two streams of one data set: releases of their own, and one account that both are charged to."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import create_engine

from data import sources, validate
from data.store import Released, append_panel, open_store, panel_names, read_panel
from dp.budget import Budget
from dp.ledger import Ledger
from dp.unit.privacy_unit import PrivacyUnit
from flows.errors import UsageError
from flows.pipeline import privatise
from flows.recipe.recipe import Recipe, from_dict
from flows.settings import Home
from flows.stream import release
from flows.stream.names import in_use, name_of

LEVELS = {"low": 2000, "later": 90_000, "high": 90_000}
APART = ("low", "later")
"""Two streams whose days are not the same ones: each day has room for one whole stream alone."""
DAY = 12


@pytest.fixture
def opened(home: Home) -> Home:
    home.root.mkdir(parents=True)
    return home


@pytest.fixture
def tables(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'source.db'}"
    for name in LEVELS:
        start = 28 * DAY if name == "later" else 0
        come(url, name, start, start + 28 * DAY)
    return url


def come(url: str, name: str, start: int, end: int) -> None:
    times = pd.date_range("2024-01-01", periods=end, freq="2h", name="time")[start:]
    values = LEVELS[name] + np.random.default_rng(3).integers(0, 60, (len(times), 2))
    frame = pd.DataFrame(values, times, ["north", "south"]).reset_index()
    frame.to_sql(name, create_engine(url), if_exists="append", index=False)


def recipe_for(url: str, name: str) -> Recipe:
    return from_dict(
        {
            "source": {"name": f"{url}#{name}", "account": "city", "regions_per_interval": 1},
            "privacy": {"unit": "user-day", "epsilon": 4.0, "delta": 1e-6},
            "model": {"name": "ridge"},
            "stream": {"name": name},
        }
    )


def ingest(recipe: Recipe, home: Home) -> release.Ingested:
    return release.release(recipe, home, release.arrived(recipe, home))


def level(name: str, home: Home) -> float:
    return float(np.nanmedian(read_panel(open_store(home.database_url), name).values))


def test_each_gets_its_own_counts(tables: str, opened: Home) -> None:
    recipes = {name: recipe_for(tables, name) for name in APART}
    for recipe in recipes.values():
        assert ingest(recipe, opened).new == 28 * DAY
    for name in APART:
        assert level(name, opened) == pytest.approx(LEVELS[name], abs=500)
    entries = {
        name: release.guarantee(recipe, release.panel(recipe, opened), opened).ledger_entry
        for name, recipe in recipes.items()
    }
    ledger = Ledger(opened.database_url)
    assert {
        name: ledger.entry(one or 0).event["panel"]["stream"] for name, one in entries.items()
    } == {name: name for name in APART}
    assert {account.dataset for account in ledger.accounts()} == {"city"}


def test_a_release_that_was_not_written_down_is_its_own_stream_s(
    tables: str, opened: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(release, "publish", dies)
    with pytest.raises(KeyboardInterrupt):
        ingest(recipe_for(tables, "low"), opened)
    monkeypatch.undo()
    monkeypatch.setenv("VEILCAST_HOME", str(opened.root))
    assert ingest(recipe_for(tables, "later"), opened).new == 28 * DAY
    assert level("later", opened) == pytest.approx(LEVELS["later"], abs=500)
    assert (
        ingest(recipe_for(tables, "low"), opened).new == 0
    )  # released before, and now written down
    assert level("low", opened) == pytest.approx(LEVELS["low"], abs=500)


def test_the_cap_holds_for_both_together(tables: str, opened: Home) -> None:
    cap = Budget(5.0, 1e-6)
    ledger = Ledger(opened.database_url)
    ledger.set_cap("city", PrivacyUnit.USER_DAY, cap, new=True)
    done: dict[str, release.Ingested] = {}

    def work(name: str) -> None:
        recipe = recipe_for(tables, name)
        done[name] = ingest(recipe, opened)

    both = [threading.Thread(target=work, args=(name,)) for name in ("low", "high")]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert ledger.spent("city", PrivacyUnit.USER_DAY, cap.delta) <= cap.epsilon
    # the stream that came second would have taken a day to more than the first one promised
    assert sorted(one.new for one in done.values()) == [0, 28 * DAY]
    assert sum("refused, nothing was drawn" in (one.refused or "") for one in done.values()) == 1


def test_a_stream_and_a_training_on_its_table_have_one_account(tables: str, opened: Home) -> None:
    values = recipe_for(tables, "low").to_dict()
    del values["source"]["account"], values["stream"]
    recipe = from_dict(values)
    assert ingest(recipe, opened).new == 28 * DAY
    raw = validate.to_panel(sources.read(recipe.source.name))[0]
    (account,) = Ledger(opened.database_url).accounts()
    assert privatise.charge(raw, recipe, opened).dataset == account.dataset == raw.source


def test_an_account_that_was_opened_under_the_streams_name_is_gone_on_with(
    tables: str, opened: Home
) -> None:
    recipe = recipe_for(tables, "low")
    earlier = replace(recipe, source=replace(recipe.source, account="low"))
    ingest(earlier, opened)  # what an unnamed account was called before
    come(tables, "low", 28 * DAY, 29 * DAY)
    unnamed = replace(recipe, source=replace(recipe.source, account=None))
    assert ingest(unnamed, opened).new == DAY
    assert {account.dataset for account in Ledger(opened.database_url).accounts()} == {"low"}


def _written(store_url: str, name: str) -> None:
    times = pd.date_range("2024-01-01", periods=4, freq="2h", name="time")
    frame = pd.DataFrame(1.0, times, ["north", "south"])
    append_panel(
        open_store(store_url), name, frame, Released("k", 1, "user-day", 1.0, 1e-6, 1.0, 1.0)
    )


@pytest.mark.parametrize(
    ("source", "stored", "used"),
    [
        ("postgresql://me:${PW}@h/db#t", "h/db#t", "h/db#t"),
        (
            "postgresql://me:${PW}@h/db?sslmode=require#t",
            "h/db?sslmode=require#t",
            "h/db?sslmode=require#t",
        ),
        ("postgresql://h/db?user=u&password=S3cret#t", "h/db?user=u&password=S3cret#t", "h/db#t"),
        ("postgresql://h/db?sslmode=require#t", "other", "h/db#t"),
        ("${COUNTS}#t", "${COUNTS}#t", "${COUNTS}#t"),
    ],
)
def test_panels_of_earlier_versions_are_found(
    opened: Home, source: str, stored: str, used: str
) -> None:
    _written(opened.database_url, stored)
    recipe = from_dict({"source": {"name": source}, "privacy": {"unit": "user-day"}})
    assert in_use(recipe, opened) == used
    names = panel_names(open_store(opened.database_url))
    assert names == ((stored,) if stored in (used, "other") else (used,))
    assert "S3cret" not in str(names)


def test_a_stream_of_several_hosts_must_be_named() -> None:
    values = {"source": {"name": "postgresql://h1:1,h2:2/db#t"}, "privacy": {"unit": "user-day"}}
    with pytest.raises(UsageError, match=r"more than one way.*stream\.name"):
        name_of(from_dict(values))
