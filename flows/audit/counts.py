"""Audit of noise on counts: canaries in one panel, and an attacker who looks for a planted person."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.panel import Panel
from data.windows import WindowSpec, latest, make
from dp.audit import Guesses, Measured, clopper_pearson, measure, plan
from dp.audit.counts import Planted, contribution, draw, plant
from dp.budget import Budget
from dp.composition.risk import risk
from dp.composition.total import Total
from dp.mechanisms.count_noise import calibrate
from dp.mechanisms.design import Noise, least_noise
from dp.mechanisms.offset_noise import OffsetNoise
from dp.mechanisms.run_design import least_run_noise
from dp.mechanisms.run_noise import RunNoise
from dp.unit.contribution import derive_bound
from dp.unit.contribution_set import ContributionSet
from dp.unit.privacy_unit import MONDAY, PrivacyUnit
from models.config import ForecasterConfig
from models.forecasters import new
from models.predict import predict

Floats = NDArray[np.float64]

_MOST_CELLS = 60_000
"""Most counts that are noised for an audit: a few seconds of exact draws."""
_CONFIDENCE = 0.999
"""Confidence of success rates; high, since the attack nearly attains the promised rate."""
_DAYS, _STEPS = 14, 12
"""Days, and intervals per day, of the panels with a planted person; they have two regions."""


@dataclass(frozen=True)
class Attack:
    """Result of an attacker who knows everything except whether one person is in the data.

    Attributes:
        reads: what the attacker reads.
        unit: the privacy unit that is planted.
        trials: independent releases, half of them with the person on average.
        right: number of right guesses.
        low, high: Clopper-Pearson interval of the success rate, confidence 0.999.
        promised: the highest success rate that the statement allows.
    """

    reads: str
    unit: str
    trials: int
    right: int
    low: float
    high: float
    promised: float

    @property
    def refutes(self) -> bool:
        """Whether the attacker is right more often than promised, beyond chance."""
        return self.low > self.promised


def canaries_in(
    noise: Noise, canaries: int, confidence: float
) -> tuple[Noise, Floats, NDArray[np.bool_], Guesses, tuple[Measured, ...]]:
    """Release one panel of canaries and guess who is in it.

    Args:
        noise: the mechanism; if its units have too many cells to draw in seconds, the same promise is
            audited for units with fewer intervals.
        canaries: number of canaries, m.
        confidence: confidence of each bound.

    Returns:
        The mechanism used, scores, coins, guesses and bounds.
    """
    noise = _in_seconds(noise, canaries)
    guesses = plan(canaries, noise.budget, confidence)
    planted = plant(noise, canaries)
    scores = planted.scores(noise, 100.0)
    return noise, scores, planted.included, guesses, measure(guesses, scores, planted.included)


def _in_seconds(noise: Noise, canaries: int) -> Noise:
    """Return the noise, or that of the same promise for units with fewer intervals."""
    bound = noise.bound
    if isinstance(noise, RunNoise):
        most = max(2, _MOST_CELLS // (canaries * 2))
        if most >= noise.cells:
            return noise
        fewer = replace(bound, intervals=min(bound.intervals, most))
        return least_run_noise(noise.budget, replace(noise.unit, bound=fewer), most)
    if not isinstance(noise, OffsetNoise):
        most = max(1, _MOST_CELLS // (canaries * bound.regions))
        if most >= bound.intervals:
            return noise
        return calibrate(noise.budget, replace(bound, intervals=most))
    most = max(2, _MOST_CELLS // (canaries * noise.unit.regions))
    if most >= noise.cells:
        return noise
    fewer = replace(bound, intervals=min(bound.intervals, most))
    unit = replace(noise.unit, bound=fewer)
    return least_noise(noise.budget, unit, per=noise.per, cells=most)


def find_a_person(
    budget: Budget, unit: PrivacyUnit, *, trials: int = 250, shared: bool = False
) -> tuple[Attack, Attack]:
    """Plant a person in small panels, and look for them in each release and in each forecast.

    The person is in the first region of two, in all intervals of the unit or, with shared offsets, in
    as many as these hide least. In the panel the attacker uses the likelihood ratio, which is
    optimal. In forecasts of the next day, made by ridge regression on the release, the direction in
    which the person moves them is learned from as many other trials.

    Args:
        budget: budget of the promise.
        unit: `user` or `user-day`.
        trials: half the number of released panels.
        shared: whether counts share offsets.
    """
    hours = pd.Timedelta(hours=24 // _STEPS)
    bound, _ = derive_bound(
        unit,
        observed=_DAYS * _STEPS,
        interval=hours.to_pytimedelta(),
        regions=2,
        regions_per_interval=1,
        start=MONDAY,
    )
    noise: Noise = calibrate(budget, bound)
    if shared:
        one = ContributionSet(bound, regions=2, ever=1)
        noise = least_noise(budget, one, per=unit, cells=bound.intervals)
    rng = np.random.default_rng()
    coins = rng.random(2 * trials) < 0.5
    base = np.rint(200 + 100 * np.sin(np.arange(_DAYS * _STEPS) / _STEPS * 2 * np.pi))
    added = contribution(noise)[:, 0]
    raw = np.repeat(np.stack([base, base], axis=1)[None], 2 * trials, axis=0)
    raw[coins, -len(added) :, 0] += added
    released = draw(noise, raw.reshape(-1, 2), len(added)).reshape(raw.shape)
    promised = _promised(noise)

    def attack(reads: str, guessed: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Attack:
        right = int((guessed == truth).sum())
        low, high = clopper_pearson(right, len(truth), _CONFIDENCE)
        return Attack(reads, unit.value, len(truth), right, low, high, promised)

    last = slice(-len(added), None)
    planted = Planted(
        coins, added[:, None], raw[:, last, 0].reshape(-1, 1), released[:, last, 0].reshape(-1, 1)
    )
    person = planted.scores(noise, base[last])
    ahead = np.stack([_forecast(panel) for panel in released])
    known, hidden = coins[:trials], coins[trials:]
    learned = ahead[:trials]
    direction = learned[known].mean(axis=0) - learned[~known].mean(axis=0)
    direction /= learned.var(axis=0) + 1e-9
    middle = (learned[known].mean(axis=0) + learned[~known].mean(axis=0)) @ direction / 2
    return (
        attack("the released panel", person > planted.middle(noise), coins),
        attack("forecasts of the next day", ahead[trials:] @ direction > middle, hidden),
    )


def _promised(noise: Noise) -> float:
    """Return the highest success rate that the statement of this noise allows."""
    event = {
        **noise.event(),
        "panel": {"observed": _DAYS * _STEPS, "interval_seconds": 7200.0, "regions": 2},
    }
    rate = float(risk(Total().plus(event), what="")["attacker"]["right_after_at_most"])
    assert math.isfinite(rate)  # noqa: S101
    return rate


def _forecast(counts: Floats) -> Floats:
    """Forecast the day after a release by ridge regression on it, [steps · 2]."""
    times = pd.date_range("2024-01-01", periods=len(counts), freq="2h", name="time")
    panel = Panel(pd.DataFrame(counts, times, ["first", "second"]), "planted")
    spec = WindowSpec(lags=2, seasonal=(_STEPS,), horizon=_STEPS)
    config = ForecasterConfig(
        model="ridge", regions=panel.regions, lags=2, seasonal=1, horizon=_STEPS
    )
    model = new(config, seed=0)
    model.fit(make(panel, panel, spec))  # type: ignore[operator]
    forecast: Floats = predict(model, latest(panel, spec))[0].ravel()
    return forecast
