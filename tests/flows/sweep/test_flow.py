"""A sweep tells its whole charge first, charges it whole or not at all, and is never paid twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from dp.budget import Budget
from dp.ledger import Ledger
from dp.unit.privacy_unit import PrivacyUnit
from flows.cli.app import app
from flows.errors import UsageError
from flows.settings import Home
from flows.sweep.cost import announced
from flows.sweep.grid import Grid, Point
from flows.sweep.learning_rates import HIGHEST, LOWEST, rates
from flows.tracking import Tracker
from models import optimizers

CITY = "synthetic:days=35,persons=600,regions=3,interval=60min"
SMALL = [
    "--set",
    "training.epochs=1",
    "--set",
    "model.hidden=4",
    "--set",
    "windows.lags=4",
    "--set",
    "windows.seasons=0",
    "--set",
    "windows.around=0",
    "--set",
    "windows.validation=0d",
]


def veilcast(*arguments: object):  # type: ignore[no-untyped-def]
    return CliRunner().invoke(app, [str(one) for one in arguments])


def grid(**changes: object) -> Grid:
    usual = {
        "recipe": {"source": {"name": CITY}},
        "mechanisms": ("input",),
        "units": ("user",),
        "epsilons": (1.0,),
        "models": ("gru",),
        "optimizers": ("adam",),
        "seeds": 1,
        "settings": tuple(SMALL[1::2]),
    }
    return Grid(**{**usual, **changes})  # type: ignore[arg-type]


@pytest.mark.slow
def test_what_is_told_is_what_is_charged_and_only_once(home: Home) -> None:
    asked = [
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
        "adam,adabelief",
        "--seeds",
        2,
        "--set",
        "source.max_count=600",
        "--set",
        "training.batch_size=128",
        *SMALL,
        "--json",
    ]
    dry = veilcast(*asked, "--dry-run")
    assert dry.exit_code == 0, dry.output
    told = json.loads(dry.stdout)["total"]
    assert not (home.root / "veilcast.db").exists() or not Ledger(home.database_url).entries()
    # two budgets, two draws; and as many trainings, of two optimizers each
    assert told["charges"] == 2 * 2 + 2 * 2 * 2
    first = veilcast(*asked)
    assert first.exit_code == 0, first.output
    document = json.loads(first.stdout)
    ledger = Ledger(home.database_url)
    assert len(ledger.entries()) == told["charges"]
    assert {entry.state for entry in ledger.entries()} == {"released"}
    spent = ledger.spent(CITY, PrivacyUnit.USER_INTERVAL, 1e-7)
    (unit,) = told["units"]
    assert spent == pytest.approx(unit["epsilon"], rel=1e-9)
    assert document["total"] == told
    assert len(document["points"]) == 2 * 2 * 2 * 2
    assert [row["seeds"] for row in document["table"]] == [2] * 8
    assert Path(document["frontier"]).stat().st_size > 10_000
    assert len(Path(document["csv"]).read_text().splitlines()) == 17
    assert len(pd.read_parquet(document["parquet"])) == 16
    _is_in_mlflow(home, document)
    again = json.loads(veilcast(*asked).stdout)
    assert again["table"] == document["table"]
    assert again["total"]["charges"] == 0
    assert again["total"]["units"][0]["after"] == pytest.approx(spent, rel=1e-9)
    assert again["run_id"] == document["run_id"]
    assert len(ledger.entries()) == told["charges"]


def _is_in_mlflow(home: Home, document: dict[str, Any]) -> None:
    """One run for the sweep, a child for every training, each of them usable like any run."""
    tracker = Tracker(home)
    children = tracker.runs(sweep=document["run_id"])
    assert {one["run_id"] for one in children} == {one["run_id"] for one in document["points"]}
    assert all(len(tracker.settings(one["run_id"])) <= 25 for one in children)
    assert document["run_id"] not in {one["run_id"] for one in tracker.runs()}
    one = document["points"][-1]
    files = tracker.files(one["run_id"])
    assert {path.name for path in files.iterdir()} == {
        "model",
        "recipe.toml",
        "result.json",
        "statement.json",
        "statement.md",
    }
    assert json.loads((files / "result.json").read_text())["run_id"] == one["run_id"]
    assert veilcast("statement", one["run_id"]).exit_code == 0
    page = Path(document["frontier"]).read_text()
    assert "user-interval, δ = 1e-07" in page
    assert "<script src=" not in page


def test_a_sweep_that_does_not_fit_charges_nothing(home: Home) -> None:
    home.root.mkdir()
    Ledger(home.database_url).set_cap(CITY, PrivacyUnit.USER, Budget(1.5, 1e-7), new=True)
    result = veilcast(
        "sweep", "--source", CITY, "--epsilon", "1", "--model", "ridge", "--seeds", 4, *SMALL
    )
    assert result.exit_code == 3, result.output
    assert "it does not fit; the first 2 of the 4 charges would" in " ".join(result.stderr.split())
    ledger = Ledger(home.database_url)
    assert {entry.state for entry in ledger.entries()} == {"voided"}
    assert ledger.spent(CITY, PrivacyUnit.USER, 1e-7) == 0.0


@pytest.mark.slow
def test_every_point_tries_as_many_learning_rates(home: Home) -> None:
    asked = [
        "sweep",
        "--source",
        CITY,
        "--mechanism",
        "gradient",
        "--unit",
        "interval-1",
        "--epsilon",
        8,
        "--model",
        "gru",
        "--optimizer",
        "adam,sgd",
        "--seeds",
        1,
        "--trials",
        3,
        "--set",
        "source.max_count=600",
        "--set",
        "training.epochs=1",
        "--set",
        "training.batch_size=128",
        "--json",
    ]
    first, again = veilcast(*asked), veilcast(*asked)
    assert first.exit_code == 0, first.output
    document = json.loads(first.stdout)
    assert {row["learning_rate"] for row in document["table"]} <= set(rates(3))
    assert document["total"]["charges"] == 2
    assert json.loads(again.stdout)["total"]["charges"] == 0
    # the made-up city on which they were tried is in no account
    assert {entry.dataset for entry in Ledger(home.database_url).entries()} == {CITY}


def test_rates_are_evenly_spread() -> None:
    found = rates(5)
    assert (found[0], found[-1]) == (LOWEST, HIGHEST)
    assert found == sorted(found)
    assert found[2] == pytest.approx((LOWEST * HIGHEST) ** 0.5, rel=1e-2)


def test_all_are_those_that_are_allowed() -> None:
    under_input = [point.optimizer for point in grid(optimizers=("all",)).points()]
    assert under_input == [*optimizers.FIRST_ORDER, "tract"]
    private = grid(mechanisms=("gradient",), optimizers=("all",)).points()
    assert {point.optimizer for point in private} == {
        *optimizers.FIRST_ORDER,
        *optimizers.NOISE_AWARE,
        "tract",
    }
    assert grid(models=("ridge",), optimizers=("all",)).points() == [
        Point("input", "user", 1.0, "ridge", None)
    ]


def test_without_privacy_budgets_do_not_matter() -> None:
    found = grid(
        mechanisms=("none", "input"), units=("user", "user-day"), epsilons=(1.0, 2.0)
    ).points()
    assert [(one.mechanism, one.unit, one.epsilon) for one in found] == [
        ("none", None, None),
        ("input", "user", 1.0),
        ("input", "user", 2.0),
        ("input", "user-day", 1.0),
        ("input", "user-day", 2.0),
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mechanisms": ("magic",)}, "mechanism='magic' is unknown"),
        ({"models": ()}, "at least one of its models"),
        ({"units": ("person",)}, "unit='person' is unknown"),
        ({"optimizers": ("dp-adam",)}, "choose one of"),
        ({"models": ("oak",)}, "oak"),
        ({"mechanisms": ("gradient",), "models": ("trees",)}, "cannot be trained by gradient"),
    ],
)
def test_impossible_points_are_told_before_anything(
    home: Home, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        announced(grid(**changes))


def test_a_malformed_list_is_told(home: Home) -> None:
    result = veilcast("sweep", "--source", CITY, "--epsilon", "1,much")
    assert result.exit_code == 2
    assert "'much'" in result.output
