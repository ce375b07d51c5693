"""The loop under shared offsets: one charge for a day, and seeds that go with it."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from data.store import open_store, panel_releases, read_panel
from dp.composition.total import COUNTS, OFFSETS, PIECE
from dp.errors import SeedGoneError
from dp.ledger import Ledger, local_secret, verify
from dp.mechanisms.kept_offsets import unseal
from dp.release.stream_entries import streamed
from dp.unit.privacy_unit import PrivacyUnit
from flows.cli.app import app
from flows.recipe.recipe import Recipe, from_dict
from flows.settings import Home
from flows.stream import release

NAME, DAY = "city", 12
WHOLE = 28 * DAY


@pytest.fixture
def opened(home: Home) -> Home:
    home.root.mkdir(parents=True)
    return home


class Table:
    """Two regions that nobody is in both of on one day, so that offsets help."""

    def __init__(self, folder: Path) -> None:
        self.url, self.there = f"sqlite:///{folder / 'source.db'}", 0
        self.come(WHOLE + 2)

    def come(self, until: int) -> None:
        times = pd.date_range("2024-01-01", periods=until, freq="2h", name="time")[self.there :]
        values = 912_000 + np.random.default_rng(self.there).permutation(99)[: 2 * len(times)]
        if len(times) > 49:
            values = 912_000 + np.arange(2 * len(times)) % 89
        frame = pd.DataFrame(values.reshape(-1, 2), times, ["north", "south"]).reset_index()
        frame.to_sql("counts", create_engine(self.url), if_exists="append", index=False)
        self.there = until

    def recipe(self, **privacy: object) -> Recipe:
        source = {"name": f"{self.url}#counts", "account": NAME, "regions_per_interval": 1}
        return from_dict(
            {
                "source": {**source, "regions_ever": 1},
                "privacy": {"unit": "user-day", "epsilon": 2.0, "delta": 1e-6, **privacy},
                "model": {"name": "ridge"},
            }
        )


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


def ingest(recipe: Recipe, home: Home) -> release.Ingested:
    return release.release(recipe, home, release.arrived(recipe, home))


def mechanisms(home: Home) -> list[str]:
    found = streamed(Ledger(home.database_url), NAME, PrivacyUnit.USER_DAY)
    return [entry.event["mechanism"] for entry in found]


def observed(home: Home) -> int:
    return int(read_panel(open_store(home.database_url), NAME).observed.sum())


def test_a_day_is_charged_once(table: Table, opened: Home) -> None:
    recipe, ledger = table.recipe(), Ledger(opened.database_url)
    assert ingest(recipe, opened).new == WHOLE + 2
    spent = ledger.spent(NAME, PrivacyUnit.USER_DAY, 1e-6)
    for more in (4, 5, 12):
        table.come(WHOLE + more)
        ingest(recipe, opened)
    assert ledger.spent(NAME, PrivacyUnit.USER_DAY, 1e-6) == spent <= 2.0
    assert mechanisms(opened) == [OFFSETS, OFFSETS, PIECE, PIECE, PIECE]
    assert ledger.seeds_kept() == ()  # the day is over
    assert observed(opened) == WHOLE + 12
    kept = panel_releases(open_store(opened.database_url), NAME)
    assert {round(one.epsilon, 6) for one in kept} == {round(kept[0].epsilon, 6)}
    assert len({one.sigma for one in kept}) == 1
    assert verify(ledger).holds


def test_a_stream_that_began_with_independent_noise_goes_on_with_it(
    table: Table, opened: Home
) -> None:
    ingest(table.recipe(noise="independent"), opened)
    table.come(WHOLE + 14)
    assert ingest(table.recipe(), opened).new == 12
    assert set(mechanisms(opened)) == {COUNTS}
    panel = release.panel(table.recipe(), opened)
    assert not release.guarantee(table.recipe(), panel, opened).statement["correlation"]


def test_a_piece_that_was_drawn_and_lost_stays_a_gap(
    table: Table, opened: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = table.recipe()
    ingest(recipe, opened)
    table.come(WHOLE + 4)

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "release", dies)
    with pytest.raises(KeyboardInterrupt):
        ingest(recipe, opened)
    monkeypatch.undo()
    monkeypatch.setenv("VEILCAST_HOME", str(opened.root))
    assert ingest(recipe, opened).new == 0
    table.come(WHOLE + 6)
    assert ingest(recipe, opened).new == 2
    assert observed(opened) == WHOLE + 4
    assert Ledger(opened.database_url).spent(NAME, PrivacyUnit.USER_DAY, 1e-6) <= 2.0
    assert verify(Ledger(opened.database_url)).holds


def test_without_its_seed_a_day_is_closed_and_the_next_one_is_not(
    table: Table, opened: Home
) -> None:
    recipe, ledger = table.recipe(), Ledger(opened.database_url)
    ingest(recipe, opened)
    with ledger.database.writing() as session:
        session.execute(text("DELETE FROM ledger_seeds"))
    table.come(WHOLE + 4)
    with pytest.raises(SeedGoneError):
        ingest(recipe, opened)
    table.come(WHOLE + 14)
    assert ingest(recipe, opened).new == 2
    assert observed(opened) == WHOLE + 4
    assert len(mechanisms(opened)) == 3


def test_a_changed_budget_holds_from_the_next_day(table: Table, opened: Home) -> None:
    ingest(table.recipe(), opened)
    table.come(WHOLE + 14)
    assert ingest(table.recipe(epsilon=1.0), opened).new == 12
    found = streamed(Ledger(opened.database_url), NAME, PrivacyUnit.USER_DAY)
    assert found[1].event["sigma"] == found[2].event["sigma"] < found[3].event["sigma"]


def test_the_statement_says_what_is_kept_and_what_a_leak_costs(table: Table, opened: Home) -> None:
    recipe = table.recipe()
    ingest(recipe, opened)
    promise = release.guarantee(recipe, release.panel(recipe, opened), opened)
    assert promise.statement is not None
    said = " ".join(promise.statement["correlation"])
    for words in (
        "within one calendar day",
        "together with the installation's secret",
        "destroys them",
        "instead of 2, at delta 1e-06 (unit user-day",
        "taken not to depend on it",
    ):
        assert words in said
    assert promise.epsilon is not None
    assert promise.epsilon <= 2.0


def test_no_seed_is_told_or_kept_elsewhere(
    table: Table, opened: Home, caplog: pytest.LogCaptureFixture
) -> None:
    recipe, ledger = table.recipe(), Ledger(opened.database_url)
    with caplog.at_level(logging.DEBUG):
        ingest(recipe, opened)
        (number,) = ledger.seeds_kept()
        sealed = ledger.seed(ledger.entry(number))
        assert sealed is not None
        seed = unseal(sealed, local_secret(opened.secret)).value
        said = str(release.guarantee(recipe, release.panel(recipe, opened), opened))
    said += caplog.text + str(ledger.entries())
    for secret in (seed, sealed):
        assert secret.hex() not in said
        assert repr(secret)[2:-1] not in said
    for file in opened.root.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert seed not in content
            assert seed.hex().encode() not in content
            assert sealed.hex().encode() not in content
            assert (sealed in content) == (file.name == "veilcast.db"), file


def test_gaps_and_a_partial_first_day_are_paid_for_with_their_day(
    table: Table, opened: Home
) -> None:
    engine = create_engine(table.url)
    with engine.begin() as connection:  # the first five intervals, a night, and a day
        for gap in (
            "time < '2024-01-01 10:00'",
            "time BETWEEN '2024-01-03 00:00' AND '2024-01-03 06:30'",
            "time >= '2024-01-05' AND time < '2024-01-05 23:00'",
        ):
            connection.execute(text(f"DELETE FROM counts WHERE {gap}"))
    recipe, ledger = table.recipe(), Ledger(opened.database_url)
    assert ingest(recipe, opened).new == WHOLE + 2 - 5 - 4 - DAY
    found = streamed(ledger, NAME, PrivacyUnit.USER_DAY)
    starts = [str(entry.period.start) for entry in found]
    assert starts == ["2024-01-01 00:00:00", "2024-01-02 00:00:00", "2024-01-29 00:00:00"]
    assert ledger.spent(NAME, PrivacyUnit.USER_DAY, 1e-6) == pytest.approx(2.0, rel=1e-3)
    table.there = WHOLE + 5  # three intervals never come
    table.come(WHOLE + 8)
    assert ingest(recipe, opened).new == 3
    assert mechanisms(opened)[-1] == PIECE
    assert verify(ledger).holds


def test_the_budget_of_a_user_lasts_as_long_as_it_is_declared_to(
    table: Table, opened: Home
) -> None:
    values = table.recipe(unit="user").to_dict()
    values["stream"]["lasts"] = "29d"
    recipe = from_dict(values)
    assert ingest(recipe, opened).new == WHOLE + 2
    table.come(WHOLE + 20)
    last = ingest(recipe, opened)
    assert last.new == 10  # as many as 29 days have
    assert last.refused
    ledger = Ledger(opened.database_url)
    assert ledger.seeds_kept() == ()
    assert 1.99 < ledger.spent(NAME, PrivacyUnit.USER, 1e-6) <= 2.0
    said = str(release.guarantee(recipe, release.panel(recipe, opened), opened).statement)
    assert "while its budget lasts" in said


def test_commands_show_pieces_with_what_paid_for_them(
    table: Table, opened: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    ingest(table.recipe(), opened)
    table.come(WHOLE + 4)
    ingest(table.recipe(), opened)
    first = streamed(Ledger(opened.database_url), NAME, PrivacyUnit.USER_DAY)[1]
    history = CliRunner().invoke(app, ["budget", "history", NAME])
    assert history.exit_code == 0, history.output
    assert f"in {first.id}" in history.output
    for command in (["show"], ["verify"], ["export"], ["export", "--format", "registry"]):
        done = CliRunner().invoke(app, ["budget", *command])
        assert done.exit_code == 0, done.output
    assert "charged with the first of them" in " ".join(done.output.split())
