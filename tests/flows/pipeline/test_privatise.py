"""Noise designs of panels: declared presence, earlier releases, refusals before charges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data.panel import Panel
from dp.ledger import Ledger
from dp.mechanisms.count_noise import CountNoise
from dp.mechanisms.offset_noise import NAME, OffsetNoise
from flows.errors import UsageError
from flows.pipeline import privatise
from flows.recipe.recipe import Recipe, from_dict
from flows.settings import Home

REGIONS = ("whole", "part", "other")


@pytest.fixture
def home(home: Home) -> Home:
    home.root.mkdir()
    return home


def panel(**declared: Any) -> Panel:
    times = pd.date_range("2024-01-01", periods=24 * 21, freq="h", name="time")
    counts = np.tile([900.0, 500.0, 300.0], (len(times), 1))
    return Panel(pd.DataFrame(counts, times, list(REGIONS)), "mine", **declared)


def recipe(unit: str = "user", **privacy: Any) -> Recipe:
    return from_dict({"privacy": {"unit": unit, "epsilon": 1.0, "delta": 1e-6, **privacy}})


def sd(unit: str = "user", **declared: Any) -> float:
    return privatise.mechanism(panel(**declared), recipe(unit))[0].deviation


def test_whatever_is_declared_makes_noise_smaller() -> None:
    loose = sd(regions_per_interval=2)
    assert sd(regions_per_interval=2, nested={"whole": ["part", "other"]}) < loose * 0.95
    assert sd(regions_per_interval=2, regions_ever=2) < loose * 0.85
    assert sd(regions_per_interval=1, regions_ever=1) < sd(regions_per_interval=1) * 0.65


def test_reasons_name_the_operators_word() -> None:
    given = panel(regions_per_interval=2, regions_ever=2, nested={"whole": ["part", "other"]})
    reasons = privatise.mechanism(given, recipe())[2]
    assert "G = 2 different regions in all intervals: the operator's word" in reasons
    assert "'whole' contains 'part', 'other': the operator's word" in reasons


def test_few_regions_ever_are_few_at_a_time() -> None:
    noise, _, reasons = privatise.mechanism(panel(regions_ever=1), recipe())
    assert noise.bound.regions == 1
    assert "M = 1 regions in one interval: declared" in reasons


def test_independent_noise_on_request() -> None:
    noise, _, _ = privatise.mechanism(panel(regions_ever=1), recipe(noise="independent"))
    assert isinstance(noise, CountNoise)


def test_the_same_request_is_the_same_release_and_another_design_another(home: Home) -> None:
    given = panel(regions_ever=1)
    first = privatise.privatise(given, recipe(), home)
    again = privatise.privatise(given, recipe(), home)
    assert again.guarantee.ledger_entry == first.guarantee.ledger_entry
    pd.testing.assert_frame_equal(first.inputs.counts, again.inputs.counts)
    other = privatise.privatise(given, recipe(noise="independent"), home)
    assert other.guarantee.ledger_entry != first.guarantee.ledger_entry
    kinds = [entry.event["mechanism"] for entry in Ledger(home.database_url).entries()]
    assert kinds == [NAME, "discrete-gaussian"]


def test_a_release_that_was_made_without_a_recipe_is_returned(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, about = panel(regions_ever=1), privatise._about
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(privatise, "_about", lambda *args: {**about(*args), "recipe": {}})
        paid = privatise.privatise(given, recipe(noise="independent"), home)
    now = privatise.privatise(given, recipe(), home)
    assert now.guarantee.ledger_entry == paid.guarantee.ledger_entry


def test_a_release_of_before_offsets_is_returned_and_not_paid_for_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, asked = panel(regions_ever=1), recipe(noise="independent")
    about = privatise._about

    def as_before(*args: Any) -> Any:
        values = about(*args)
        privacy = {
            name: one for name, one in values["recipe"]["privacy"].items() if name != "noise"
        }
        return {**values, "recipe": {**values["recipe"], "privacy": privacy}}

    with monkeypatch.context() as earlier:
        earlier.setattr(privatise, "_about", as_before)
        paid = privatise.privatise(given, asked, home)
    now = privatise.privatise(given, recipe(), home)
    assert now.guarantee.ledger_entry == paid.guarantee.ledger_entry
    pd.testing.assert_frame_equal(now.inputs.counts, paid.inputs.counts)
    assert privatise.charge(given, recipe(), home).event["mechanism"] == "discrete-gaussian"
    assert len(list(Ledger(home.database_url).entries())) == 1


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"regions_per_interval": 1, "nested": {"whole": ["part"]}}, "M=1 is too small"),
        ({"regions_per_interval": 2, "nested": {"whole": ["somewhere"]}}, "no region 'somewhere'"),
        ({"regions_per_interval": 2, "regions_ever": 1}, "G=1, to be from M=2 to 3"),
        ({"regions_per_interval": 2, "regions_ever": 4}, "G=4, to be from M=2 to 3"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_charged(
    home: Home, declared: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        privatise.privatise(panel(**declared), recipe(), home)
    assert not list(Ledger(home.database_url).entries())


def test_the_design_does_not_depend_on_a_count() -> None:
    given = panel(regions_ever=1)
    counts = given.counts.copy()
    counts.iloc[3, 1] = 77_777
    changed = replace(given, counts=counts)
    noise = privatise.mechanism(given, recipe())[0]
    assert isinstance(noise, OffsetNoise)
    assert noise == privatise.mechanism(changed, recipe())[0]
