"""Each mechanism hands the panel's zone and the account's cap on to its statement."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data.panel import Panel
from dp.budget import Budget
from dp.ledger import Ledger
from dp.unit.privacy_unit import PrivacyUnit
from flows.pipeline.dpsgd.train import fit_privately
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import Privatised, privatise
from flows.pipeline.steps import window_step
from flows.recipe.recipe import from_dict
from flows.settings import Home
from flows.stream import release

CAP = Budget(50.0, 1e-6)


@pytest.fixture
def capped(home: Home) -> Home:
    home.root.mkdir()
    ledger = Ledger(home.database_url)
    ledger.set_cap("mine", PrivacyUnit.USER_DAY, CAP, new=True)
    return home


def panel() -> Panel:
    times = pd.date_range("2024-01-01", periods=12 * 42, freq="2h", name="time")
    counts = np.random.default_rng(0).integers(0, 500, (len(times), 2)).astype(float)
    return Panel(pd.DataFrame(counts, times, ["a", "b"]), "mine", timezone="Asia/Tokyo")


def recipe(mechanism: str, **source: Any) -> Any:
    return from_dict(
        {
            "source": source,
            "privacy": {"mechanism": mechanism, "unit": "user-day", "epsilon": 8.0, "delta": 1e-6},
            "training": {"batch_size": 64, "epochs": 1},
            "model": {"name": "gru", "hidden": 4},
            "windows": {"seasonal": [], "lags": 2, "test": "4d", "validation": "0d"},
        }
    )


def check(statement: dict[str, Any]) -> None:
    assert "(00:00 to 24:00, Asia/Tokyo; neighbours: " in statement["text"]
    assert statement["time_zone"].startswith("Times are in Asia/Tokyo.")
    for part in (statement["other_releases"], statement["identification"]["cost"]):
        assert "A cap of epsilon 50 at delta 1e-06" in part


def test_noised_counts(capped: Home) -> None:
    check(privatise(panel(), recipe("input"), capped).guarantee.statement)


def test_a_private_training(capped: Home) -> None:
    asked, raw = recipe("gradient", max_count=500), panel()
    prepared = window_step.fn(Privatised(raw, raw, Guarantee()), raw, asked)
    _, _, guarantee = fit_privately(prepared, asked, Guarantee(), capped, lambda *_: None)
    check(guarantee.statement)


def test_a_stream(capped: Home, tmp_path: Path) -> None:
    panel().counts.astype(int).to_csv(tmp_path / "mine.csv")
    asked = recipe("input", name=str(tmp_path / "mine.csv"), account="mine", regions_per_interval=1)
    arrived = replace(release.arrived(asked, capped), timezone="Asia/Tokyo")
    release.release(asked, capped, arrived)
    check(release.guarantee(asked, release.panel(asked, capped), capped).statement)
