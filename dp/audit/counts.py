"""Canaries in a panel: made-up persons, each in cells of their own, included by a fair coin."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dp.ledger import Charge, Ledger
from dp.mechanisms.count_noise import CountNoise
from dp.permit import Permit
from dp.unit.period import Period
from dp.unit.privacy_unit import PrivacyUnit

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Planted:
    """A panel of canaries and what was released of it.

    Attributes:
        included: the coins, [m].
        raw: counts, [K, m·M].
        released: the same with noise.
    """

    included: NDArray[np.bool_]
    raw: Floats
    released: Floats

    def scores(self, noise: CountNoise, base: float) -> Floats:
        """Return the sum of the released counts over each canary's cells, less the base count, [m]."""
        cells = self.released - base
        sums: Floats = cells.sum(axis=0).reshape(-1, noise.bound.regions).sum(axis=1)
        return sums


def plant(noise: CountNoise, canaries: int, *, base: int = 100, seed: int | None = None) -> Planted:
    """Release a made-up panel in which every canary contributes all that the bound allows.

    Under "add or remove the records of one unit" an included canary adds w_max to each of its M·K
    cells. The charge goes to a ledger in memory, since the data are made up.

    Args:
        noise: the mechanism.
        canaries: m.
        base: count of every cell without canaries.
        seed: of the coins, never of the noise; None for any.
    """
    included = np.random.default_rng(seed).random(canaries) < 0.5
    bound = noise.bound
    raw = np.full((bound.intervals, canaries * bound.regions), float(base))
    raw += np.repeat(included, bound.regions) * float(bound.weight)
    return Planted(included, raw, noise.draw(raw, permit_for(noise)))


def permit_for(noise: CountNoise) -> Permit:
    """Return a permit of a ledger in memory that is dropped; for made-up data only."""
    start = dt.datetime(2024, 1, 1)
    ledger = Ledger("sqlite://")
    charge = Charge(
        key="canaries",
        dataset="canaries",
        fingerprint="canaries",
        period=Period(start, start + dt.timedelta(days=1), dt.timedelta(hours=1)),
        unit=PrivacyUnit.USER,
        epsilon=noise.epsilon,
        delta=noise.budget.delta,
        event={
            **noise.event(),
            "panel": {
                "observed": noise.bound.intervals,
                "interval_seconds": 3600.0,
                "regions": noise.bound.regions,
            },
        },
        purpose="audit",
    )
    return ledger.commit(ledger.reserve(charge))
