"""The noise of a panel whose counts are of few runs: chosen, charged, released, audited, described."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from dp.audit.counts import plant
from dp.budget import Budget
from dp.composition.total import Total
from dp.ledger import Ledger, local_secret
from dp.mechanisms.count_noise import calibrate
from dp.mechanisms.design import Noise
from dp.mechanisms.run_noise import RunNoise, cost_of
from dp.release.panel import days_of, design, release_counts
from dp.statement import input_perturbation
from dp.unit.contribution import ContributionBound
from dp.unit.contribution_set import ContributionSet
from dp.unit.privacy_unit import PrivacyUnit

HALF_HOUR = timedelta(minutes=30)
TIMES = pd.date_range("2024-01-03", periods=48 * 16, freq="30min", name="time")  # a Wednesday
OBSERVED = np.ones(len(TIMES), dtype=bool)
USER, WEEK, DAY = PrivacyUnit.USER, PrivacyUnit.USER_WEEK, PrivacyUnit.USER_DAY
DAYS = {USER: 16, WEEK: 7, DAY: 1}
BUDGET = Budget(1.0, 1e-7)


def chosen(unit: PrivacyUnit, runs: int | None, regions: int = 1, weight: int = 1) -> Noise:
    bound = ContributionBound(48 * DAYS[unit], regions, weight)
    return design(
        BUDGET,
        ContributionSet(bound, 4),
        unit=unit,
        observed=OBSERVED,
        times=TIMES,
        interval=HALF_HOUR,
        runs_per_day=runs,
    )


@pytest.mark.parametrize("unit", [USER, WEEK, DAY])
def test_a_unit_has_the_runs_of_its_days(unit: PrivacyUnit) -> None:
    assert days_of(TIMES, unit) == DAYS[unit]
    noise = chosen(unit, 2)
    assert isinstance(noise, RunNoise)
    assert noise.unit.runs == 2 * DAYS[unit]
    assert noise.cells == len(TIMES)
    assert noise.deviation < 0.55 * calibrate(BUDGET, noise.bound).sigma


def test_gaps_make_days_no_fewer_than_they_are() -> None:
    some = np.arange(len(TIMES)) % 96 == 5  # one interval of every other day
    assert days_of(TIMES[some], USER) == 8
    assert days_of(TIMES[:0], USER) == 1


def test_other_noise_is_chosen_where_it_is_as_good_or_runs_are_not_known() -> None:
    for noise in (chosen(DAY, None), chosen(DAY, 48), chosen(DAY, 2, 2), chosen(DAY, 2, 1, 3)):
        assert not isinstance(noise, RunNoise)


def panel() -> pd.DataFrame:
    return pd.DataFrame(np.full((len(TIMES), 4), 50.0), index=TIMES, columns=list("abcd"))


def test_it_is_charged_once_with_what_other_units_need(tmp_path: Path) -> None:
    noise = chosen(DAY, 2)

    def release() -> pd.DataFrame:
        made = release_counts(
            panel(),
            noise,
            dataset="city",
            unit=DAY,
            ledger=ledger,
            secret=local_secret(tmp_path / "secret"),
            runs_per_day=2,
            enforced=True,
        )
        assert made.entry.event["panel"]["runs_per_day"] == 2
        return made.counts

    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    pd.testing.assert_frame_equal(release(), release())
    assert len(ledger.entries("city", DAY)) == 1
    assert ledger.spent("city", DAY, 1e-7) == pytest.approx(1.0, rel=1e-4)
    assert ledger.spent("city", USER, 1e-7) > 3


def test_canaries_are_guessed_as_often_as_promised_and_no_more() -> None:
    noise = chosen(DAY, 2)
    assert isinstance(noise, RunNoise)
    noise = replace(noise, cells=60)
    planted = plant(noise, 4000)
    found = planted.scores(noise, 100.0) > planted.middle(noise)
    right = float(np.mean(found == planted.included))
    expected = float(ndtr(np.sqrt(cost_of(noise.event())[0]) / 2))
    assert right == pytest.approx(expected, abs=4 * 0.5 / 4000**0.5)


def test_a_statement_says_what_is_correlated_and_what_it_means_for_sums() -> None:
    noise = chosen(DAY, 2)
    assert isinstance(noise, RunNoise)
    statement = input_perturbation(
        noise,
        DAY,
        reasons=("K = 48",),
        spent=1.0,
        persons=None,
        total=Total().plus(noise.event()),
        enforced=True,
        clock="UTC",
    )
    text = " ".join(statement["correlation"])
    assert "neighbouring counts of a region is correlated" in text
    assert f"{noise.deviation_of_mean(48):.1f} persons" in text
    assert "correlated in time" in statement["text"]
    assert statement["sigma"] == noise.deviation
    json.dumps(statement)
