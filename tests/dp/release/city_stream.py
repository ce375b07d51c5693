"""A made-up stream of two regions, released under charges of its own."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from dp.budget import Budget
from dp.ledger import Entry, Ledger, local_secret
from dp.mechanisms.design import Noise
from dp.release.stream import release_piece, stream_noise
from dp.release.stream_entries import streamed
from dp.unit.privacy_unit import PrivacyUnit

TWO_HOURS = timedelta(hours=2)
BUDGET = Budget(1.0, 1e-6)
DAY, WEEK, USER = PrivacyUnit.USER_DAY, PrivacyUnit.USER_WEEK, PrivacyUnit.USER


def counts(start: str, intervals: int, level: float = 500.0) -> pd.DataFrame:
    times = pd.date_range(start, periods=intervals, freq="2h", name="time")
    return pd.DataFrame(np.full((intervals, 2), level), times, ["a", "b"])


def noise_for(unit: PrivacyUnit, **more: object) -> Noise:
    arguments = {"lasts": None, "regions_per_interval": 1, "start": datetime(2024, 1, 1), **more}
    return stream_noise(BUDGET, unit, interval=TWO_HOURS, regions=2, **arguments)[0]  # type: ignore[arg-type]


class Stream:
    def __init__(self, url: str, folder: Path, unit: PrivacyUnit = DAY, **more: object) -> None:
        self.ledger, self.unit = Ledger(url), unit
        self.secret = local_secret(folder / "secret")
        self.noise = noise_for(unit, **more)

    def release(self, frame: pd.DataFrame, noise: Noise | None = None) -> pd.DataFrame:
        return release_piece(
            frame,
            noise or self.noise,
            ledger=self.ledger,
            unit=self.unit,
            interval=TWO_HOURS,
            secret=self.secret,
            dataset="city",
        ).counts

    def spent(self, unit: PrivacyUnit | None = None) -> float:
        return self.ledger.spent("city", unit or self.unit, BUDGET.delta)

    @property
    def entries(self) -> tuple[Entry, ...]:
        return streamed(self.ledger, "city", self.unit)
