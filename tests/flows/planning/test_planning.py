"""What a plan predicts comes true, and costs nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from data import sources, validate
from flows.cli.app import app
from flows.planning.expected_error import curve, plan
from flows.settings import Home


def asked(source: str, **changes: object) -> dict:
    usual = {"units": ["user-day"], "epsilons": [1.0], "delta": 1e-7, "sizes": {}}
    return plan(source, **{**usual, **changes})  # type: ignore[arg-type]


def veilcast(*arguments: object):  # type: ignore[no-untyped-def]
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [1.0, 0.2])
def test_the_prediction_comes_true_in_another_city(home: Home, epsilon: float) -> None:
    """Another seed, more people, more regions: forecasts with noise against forecasts without."""
    city = "synthetic:seed=5,persons=6000,regions=8"
    predicted = asked(city, epsilons=[epsilon])["rows"][0]

    def outcome(*privacy: object) -> dict:
        result = veilcast(
            "train",
            "--source",
            city,
            "--model",
            "ridge",
            *privacy,
            "--json",
            "--set",
            "windows.lags=24",
            "--set",
            'windows.validation="0d"',
        )
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)["rmse"]["regions"]

    free = outcome("--mechanism", "none")
    noised = outcome("--unit", "user-day", "--epsilon", epsilon)
    assert predicted["sigma"] > 0
    for name, one in predicted["regions"].items():
        assert one["rmse"] == pytest.approx(noised[name], rel=0.5)
    true = np.mean(list(noised.values())) / np.mean(list(free.values())) - 1
    assert predicted["loss"] == pytest.approx(true, rel=0.35, abs=0.05)


def test_private_counts_are_not_read(home: Home, tmp_path: Path) -> None:
    """The same plan whatever the counts; nothing in the ledger."""
    frame = validate.to_panel(sources.read("synthetic:days=30"), max_gap="1d")[0].counts
    plans = []
    for name, counts in (("a", frame), ("b", frame * 0 + 5)):
        path = tmp_path / f"{name}.csv"
        counts.rename_axis("time").to_csv(path)
        plans.append(asked(str(path)))
    rows = [one["rows"] for one in plans]
    assert rows[0] == rows[1]
    assert "declare yours with --size" in plans[0]["sizes_from"]
    assert not list(home.root.glob("*.db"))


def test_more_noise_and_smaller_regions_lose_more() -> None:
    found = curve()
    for size in (50.0, 500.0, 50_000.0):
        errors = [found.rmse(size, sigma) for sigma in (0, 1, 10, 100, 1_000, 1e5)]
        assert errors == sorted(errors)
    losses = [found.rmse(size, 40.0) / found.rmse(size, 0.0) for size in (50.0, 500.0, 5_000.0)]
    assert losses == sorted(losses, reverse=True)


def test_units_and_bounds_are_compared(home: Home) -> None:
    found = asked("synthetic", units=["user", "user-day", "user-interval"], epsilons=[0.5, 1.0])
    losses = {(row["unit"], row["epsilon"]): row["loss"] for row in found["rows"]}
    assert losses["user", 1.0] > losses["user-day", 1.0] > losses["user-interval", 1.0]
    assert losses["user", 0.5] > losses["user", 1.0]
    bounded = asked("synthetic", intervals_per_unit=6)["rows"][0]
    assert bounded["sensitivity"] < found["rows"][3]["sensitivity"]
    shown = veilcast("plan", "synthetic", "--unit", "user", "--epsilon", "0.1").stdout
    assert "drowned" in shown
    assert "delta 1e-07" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--size", "north=100"], "no region 'north'"),
        (["--size", "region 1=100"], "no --size for 'region 2'"),
        (["--size", "-5"], "--size '-5'"),
        (["--epsilon", "much"], "--epsilon 'much'"),
        (["--unit", "household"], "choose from user"),
    ],
)
def test_what_cannot_be_planned_is_told(home: Home, arguments: list[str], said: str) -> None:
    result = veilcast("plan", "synthetic", *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
