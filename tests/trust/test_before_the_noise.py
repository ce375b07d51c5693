"""What may happen before the noise, and what the noise and its seeds must never do."""

import logging
import secrets
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.optim import SGD

from data import sources
from data.panel import Panel
from data.sources import Table
from data.validate import to_panel
from dp.audit.counts import permit_for
from dp.budget import Budget
from dp.ledger import Ledger
from dp.mechanisms import count_noise, scale
from dp.mechanisms.count_noise import calibrate
from dp.mechanisms.randomness import Generator
from dp.mechanisms.seed import KEY_BYTES
from dp.mechanisms.window_sampling import WindowSampling
from dp.private.noise_proof import prove
from dp.private.training import _Steps
from dp.unit.contribution import ContributionBound
from dp.unit.privacy_unit import PrivacyUnit
from flows.pipeline import privatise
from flows.pipeline.dpsgd import run, train
from flows.pipeline.dpsgd.plan import make_plan
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import Privatised
from flows.pipeline.steps import window_step
from flows.recipe.recipe import from_dict
from flows.settings import Home

BOUND = ContributionBound(intervals=4, regions=2)


def panel(days: int = 84, seed: int = 0, gap: slice | None = None) -> Panel:
    times = pd.date_range("2024-01-01", periods=12 * days, freq="2h", name="time")
    counts = np.random.default_rng(seed).integers(0, 5_000, (len(times), 2)).astype(float)
    if gap is not None:
        counts[gap] = np.nan
    return Panel(pd.DataFrame(counts, times, ["a", "b"]), "mine")


def recipe(mechanism: str, **privacy: Any) -> Any:
    values = {"mechanism": mechanism, "epsilon": 8.0, "delta": 1e-6, **privacy}
    return from_dict({"privacy": values, "training": {"batch_size": 64, "epochs": 2}})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("VEILCAST_DATABASE_URL", raising=False)
    return Home(tmp_path)


def test_noise_goes_on_observed_counts_and_repair_waits(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    honest = count_noise.discrete_gaussian

    def watched(counts: np.ndarray, *rest: Any) -> np.ndarray:
        seen.append(counts)
        return honest(counts, *rest)

    monkeypatch.setattr(count_noise, "discrete_gaussian", watched)
    raw = panel(gap=slice(100, 110))
    released, _ = privatise.noised(raw, recipe("input", unit="user-day"), home)
    (noised,) = seen
    assert np.array_equal(noised, raw.values[raw.observed])  # what was counted, nothing made of it
    assert np.array_equal(released.observed, raw.observed)


def test_a_private_training_reads_no_repaired_count() -> None:
    raw = panel(gap=slice(400, 404))
    given = Privatised(raw, raw, Guarantee())
    asked = recipe("gradient", unit="interval-1")
    windows = window_step.fn(given, raw, asked).split.train
    whole = window_step.fn(Privatised(panel(), panel(), Guarantee()), panel(), asked).split.train
    # windows whose targets, lags (2) or seasonal lags (a day, a week) lie in the gap are left out
    assert len(whole) - len(windows) == 4 + 2 + 2 * 4


def test_the_scaler_sees_noised_histograms_and_nothing_else(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With histograms that do not depend on the counts, neither does the scaler."""
    monkeypatch.setattr(
        scale, "discrete_gaussian", lambda cells, sigma: np.arange(len(cells)) * 1000
    )
    asked, found = recipe("gradient", unit="interval-1"), []
    for seed in (1, 2):
        raw = panel(seed=seed)
        prepared = window_step.fn(Privatised(raw, raw, Guarantee()), raw, asked)
        plan = make_plan(prepared, asked)
        charge = train.charge(prepared, asked, home)
        ledger = Ledger("sqlite://")
        permit = ledger.commit(ledger.reserve(charge))
        found.append(run._scale(prepared, asked, plan, permit))
    assert found[0] == found[1]


def test_noise_is_fresh_in_every_interval_and_region() -> None:
    noise = calibrate(Budget(1.0, 1e-6), BOUND)
    drawn = noise.draw(np.zeros((6_000, 2)), permit_for(noise))
    limit = 5 / np.sqrt(len(drawn)) * noise.sigma**2
    for lag in (1, 2, 3, 12, 48):
        assert abs((drawn[lag:] * drawn[:-lag]).mean()) < limit
    assert abs((drawn[:, 0] * drawn[:, 1]).mean()) < limit


def test_the_published_data_set_counts_a_person_twice() -> None:
    """R1 contains the five others: Δ₂ of a user-day is √(2·48), not √48."""
    raw, _ = to_panel(sources.read("paris-cdr"))
    noise, _, reasons = privatise.mechanism(raw, recipe("input", unit="user-day"))
    assert noise.bound.sensitivity == pytest.approx(np.sqrt(2 * 48))
    assert "M = 2 regions in one interval: declared" in reasons


def test_what_was_not_declared_is_the_worst_case() -> None:
    raw, _ = to_panel(Table(panel().counts.reset_index(), "mine"))
    noise, _, _ = privatise.mechanism(raw, recipe("input", unit="user-day"))
    assert noise.bound.sensitivity == pytest.approx(np.sqrt(2 * 12))


@pytest.mark.parametrize(("epsilon", "delta"), [(0.3, 1e-7), (1.0, 1e-7), (8.0, 1e-3)])
def test_the_statement_names_the_noise_that_was_drawn(
    home: Home, epsilon: float, delta: float
) -> None:
    """Not that of the classical formula, which is too much below ε = 1 and no proof above it."""
    asked = recipe("input", unit="user-day", epsilon=epsilon, delta=delta)
    raw = panel()
    given = privatise.privatise(raw, asked, home)
    added = given.inputs.values - raw.values
    statement = given.guarantee.statement
    assert added.std() == pytest.approx(statement["sigma"], rel=0.1)
    assert statement["epsilon"] == pytest.approx(epsilon, rel=1e-6)  # nothing is given away
    (entry,) = Ledger(home.database_url).entries("mine", PrivacyUnit.USER_DAY)
    event = entry.event
    assert np.hypot(event["sigma"], event.get("offset", 0.0)) == statement["sigma"]


def test_no_seed_is_told_or_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    """The key of batches and noise is 256 bits that are nowhere but in the generator."""
    seed = 0x5EED_5EED_5EED_5EED << 192 | 0x5EED_5EED_5EED_5EED
    monkeypatch.setattr(secrets, "token_bytes", lambda size: seed.to_bytes(size, "big"))
    caplog.set_level(logging.NOTSET)
    sampling = WindowSampling(windows=20, batch=5, steps=4, hit=1, noise_multiplier=2.0)
    steps, model = _Steps(sampling, 1.0, Generator()), nn.Linear(3, 1)
    optimizer = SGD(model.parameters(), lr=0.1)
    for rows in steps.batches():
        steps.step(
            model, optimizer, torch.ones(len(rows), 3), lambda m, b: m(b).square().squeeze(1)
        )
    proof = prove(sampling, steps.draws, parameters=2, twins_differ=True).to_dict()
    out, err = capfd.readouterr()
    told = (
        f"{caplog.text}{out}{err}{sampling.event()}{proof}{model.state_dict()}{vars(steps.draws)}"
    )
    whole = seed.to_bytes(KEY_BYTES, "big")
    for text in (str(seed), f"{seed:x}", f"{seed:X}", repr(whole)[2:-1], "5eed" * 4):
        assert text not in told
