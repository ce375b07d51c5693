"""Audit of noise on counts: canaries in one panel, and an attacker who looks for a planted person."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.panel import Panel
from data.windows import WindowSpec, latest, make
from dp.audit import Guesses, Measured, clopper_pearson, measure, plan
from dp.audit.counts import permit_for, plant
from dp.budget import Budget
from dp.composition.risk import risk
from dp.composition.total import Total
from dp.mechanisms.count_noise import CountNoise, calibrate
from dp.unit.contribution import ContributionBound, derive_bound
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
    noise: CountNoise, canaries: int, confidence: float
) -> tuple[CountNoise, Floats, NDArray[np.bool_], Guesses, tuple[Measured, ...]]:
    """Release one panel of canaries and guess who is in it.

    Args:
        noise: the mechanism; if its units have too many cells to draw in seconds, the same promise is
            audited for units with fewer intervals.
        canaries: number of canaries, m.
        confidence: confidence of each bound.

    Returns:
        The mechanism used, scores, coins, guesses and bounds.
    """
    most = max(1, _MOST_CELLS // (canaries * noise.bound.regions))
    if most < noise.bound.intervals:
        bound = ContributionBound(most, noise.bound.regions, noise.bound.weight)
        noise = calibrate(noise.budget, bound)
    guesses = plan(canaries, noise.budget, confidence)
    planted = plant(noise, canaries)
    scores = planted.scores(noise, 100.0)
    return noise, scores, planted.included, guesses, measure(guesses, scores, planted.included)


def find_a_person(budget: Budget, unit: PrivacyUnit, *, trials: int = 250) -> tuple[Attack, Attack]:
    """Plant a person in small panels, and look for them in each release and in each forecast.

    The person is in the first region in all intervals of the unit. In the panel the attacker uses the
    likelihood ratio, which is optimal. In forecasts of the next day, made by ridge regression on the
    release, the direction in which the person moves them is learned from as many other trials.

    Args:
        budget: budget of the promise.
        unit: `user` or `user-day`.
        trials: half the number of released panels.
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
    noise = calibrate(budget, bound)
    rng = np.random.default_rng()
    coins = rng.random(2 * trials) < 0.5
    base = np.rint(200 + 100 * np.sin(np.arange(_DAYS * _STEPS) / _STEPS * 2 * np.pi))
    raw = np.repeat(base[:, None], 4 * trials, axis=1)
    raw[-bound.intervals :, ::2] += coins  # the first of two regions, in each trial
    released = noise.draw(raw, permit_for(noise)).reshape(len(base), -1, 2)
    promised = _promised(noise)

    def attack(reads: str, guessed: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Attack:
        right = int((guessed == truth).sum())
        low, high = clopper_pearson(right, len(truth), _CONFIDENCE)
        return Attack(reads, unit.value, len(truth), right, low, high, promised)

    person = (released[-bound.intervals :, :, 0] - base[-bound.intervals :, None]).sum(axis=0)
    ahead = np.stack([_forecast(released[:, trial]) for trial in range(2 * trials)])
    known, hidden = coins[:trials], coins[trials:]
    learned = ahead[:trials]
    direction = learned[known].mean(axis=0) - learned[~known].mean(axis=0)
    direction /= learned.var(axis=0) + 1e-9
    middle = (learned[known].mean(axis=0) + learned[~known].mean(axis=0)) @ direction / 2
    return (
        attack("the released panel", person > bound.intervals / 2, coins),
        attack("forecasts of the next day", ahead[trials:] @ direction > middle, hidden),
    )


def _promised(noise: CountNoise) -> float:
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
