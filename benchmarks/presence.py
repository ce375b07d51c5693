"""Forecasts from counts of few runs a day, with noise on runs and with independent noise.

    python benchmarks/presence.py city [persons] [draws]
    python benchmarks/presence.py stays [persons] [draws]

Counted under r runs a day for unit `user-day` are the made-up city, whose people are seen now and
then, or people who are somewhere all day: at home, at work, at home, and on half of the days at one or
two other places. Both designs keep the same promise for the same bounded counts; errors are against
these counts without noise, by horizon, as mean ± sd over draws. Without r, counts are complete.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.events.config import EventsConfig
from data.events.read import Limits, read_events
from data.panel import Panel
from data.sources.synthetic import events as made_up
from data.validate import to_panel
from dp.audit.counts import permit_for
from dp.budget import Budget
from dp.mechanisms.count_noise import calibrate
from dp.mechanisms.design import Noise
from dp.mechanisms.offset_noise import OffsetNoise
from dp.release.panel import design, groups_of
from dp.unit.contribution import ContributionBound
from dp.unit.contribution_set import ContributionSet
from dp.unit.privacy_unit import PrivacyUnit

Floats = NDArray[np.float64]
BUDGET, DAY = Budget(1.0, 1e-7), 48
LAGS, TEST = 6, 7 * DAY
HORIZONS = (1, 2, 6, 12)


def forecast_errors(noised: Floats, truth: Floats) -> dict[int, float]:
    """Root mean square errors of ridge regression on lags, a day and a week ago, by horizon."""
    errors = {}
    for horizon in HORIZONS:
        first = 7 * DAY
        times = np.arange(first, len(noised) - horizon)
        ago = [noised[times - lag] for lag in range(LAGS)]
        ago += [noised[times + horizon - DAY * days] for days in (1, 7)]
        inputs = np.stack(ago, axis=-1)
        ahead = noised[times + horizon]
        known = times + horizon < len(noised) - TEST
        wrong = []
        for region in range(noised.shape[1]):
            x, y = inputs[:, region], ahead[:, region]
            middle, level = x[known].mean(axis=0), y[known].mean()
            a = x[known] - middle
            weights = np.linalg.solve(
                a.T @ a + len(a) * np.eye(a.shape[1]), a.T @ (y[known] - level)
            )
            guess = (x[~known] - middle) @ weights + level
            wrong.append(guess - truth[times[~known] + horizon, region])
        errors[horizon] = float(np.sqrt(np.mean(np.square(wrong))))
    return errors


def noised(noise: Noise, panel: Panel) -> Floats:
    """Return the counts of a panel with fresh noise."""
    counts = panel.counts.to_numpy(dtype=float)
    if isinstance(noise, OffsetNoise):
        return noise.draw(counts, permit_for(noise), groups_of(panel.times, noise.per))
    return noise.draw(counts, permit_for(noise))


def stays(persons: int, days: int = 28) -> pd.DataFrame:
    """Return an event for each half-hour of people who stay where they are for hours."""
    random = np.random.default_rng(7)
    home = random.integers(0, 6, persons)
    place = np.repeat(home[:, None], days * DAY, axis=1)
    work = (home + random.integers(1, 6, persons)) % 6
    for day in range(days):
        if day % 7 < 5:
            leave, back = random.integers(14, 20, persons), random.integers(32, 38, persons)
            hour = np.arange(DAY)
            there = (hour >= leave[:, None]) & (hour < back[:, None])
            place[:, day * DAY : (day + 1) * DAY][there] = np.repeat(work, DAY).reshape(-1, DAY)[
                there
            ]
        for _ in range(2):
            goes = np.flatnonzero(random.random(persons) < 0.3)
            start = day * DAY + random.integers(20, 44, len(goes))
            other = random.integers(0, 6, len(goes))
            for step in range(3):
                place[goes, start + step] = other
    person, time = np.indices(place.shape)
    return pd.DataFrame(
        {
            "person": person.ravel(),
            "time": (pd.Timestamp("2024-01-01") + pd.to_timedelta(30 * time.ravel(), unit="min")),
            "place": np.array([f"region {number}" for number in range(1, 7)])[place.ravel()],
        }
    )


def main(kind: str = "city", persons: int = 4000, draws: int = 5) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.parquet"
        people = (
            made_up(f"synthetic:days=28,persons={persons}") if kind == "city" else stays(persons)
        )
        people.to_parquet(path)
        regions = tuple(f"region {number}" for number in range(1, 7))
        config = EventsConfig(start="2024-01-01", end="2024-01-29", regions=regions)
        whole = 0.0
        print(
            f"{kind}: {persons} persons, {draws} draws; epsilon 1, delta 1e-7, user-day, add or remove"
        )
        print(
            "r     counted  noise         sd   rmse at " + "  ".join(f"h={h:<8d}" for h in HORIZONS)
        )
        for runs in (None, 1, 2, 3, 4, 6, 8):
            limits = Limits("user-day", runs_per_day=runs)
            panel = to_panel(read_events(str(path), config, limits, secret=b"a key"))[0]
            truth = panel.counts.to_numpy(dtype=float)
            whole = whole or truth.sum()
            bound = ContributionBound(DAY, 1)
            least = design(
                BUDGET,
                ContributionSet(bound, len(regions)),
                unit=PrivacyUnit.USER_DAY,
                observed=panel.observed,
                times=panel.times,
                interval=panel.interval.to_pytimedelta(),
                runs_per_day=runs,
            )
            pair: tuple[Noise, ...] = (calibrate(BUDGET, bound), least)
            for name, noise in zip(("independent", "least"), pair, strict=True):
                found = [
                    list(forecast_errors(noised(noise, panel), truth).values())
                    for _ in range(draws)
                ]
                row = "  ".join(
                    f"{mean:5.1f}±{sd:<4.2f}"
                    for mean, sd in zip(np.mean(found, axis=0), np.std(found, axis=0), strict=True)
                )
                print(
                    f"{runs or 'all'!s:4s} {truth.sum() / whole:8.1%}  {name:11s} "
                    f"{noise.deviation:5.1f}  {row}",
                    flush=True,
                )
            exact = forecast_errors(truth, truth).values()
            print(f"{'':15s} none          0.0  " + "  ".join(f"{one:5.1f}     " for one in exact))


if __name__ == "__main__":
    main(*sys.argv[1:2], *(int(word) for word in sys.argv[2:]))
