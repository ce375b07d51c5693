"""Canaries in a panel: made-up persons, each in cells of their own, included by a fair coin."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dp.accounting.shared_offset import GroupCost
from dp.accounting.worst_case import worst_presence
from dp.budget import Budget
from dp.ledger import Charge, Ledger
from dp.mechanisms.design import Noise
from dp.mechanisms.offset_noise import OffsetNoise
from dp.mechanisms.run_noise import RunNoise, filtered
from dp.permit import Permit
from dp.unit.period import Period
from dp.unit.privacy_unit import PrivacyUnit

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Planted:
    """Panels of canaries, one after the other, and what was released of them.

    Attributes:
        included: the coins, [m].
        added: what a canary that is included adds, in persons, [T, R].
        raw: counts, [m·T, R].
        released: the same with noise.
    """

    included: NDArray[np.bool_]
    added: Floats
    raw: Floats
    released: Floats

    def scores(self, noise: Noise, base: float | Floats) -> Floats:
        """Return the likelihood ratio of each canary up to its scale, [m].

        It is the sum of what is released of the canary's counts; with shared offsets it also takes into
        account what all counts of a group reveal of the offset.

        Args:
            noise: the mechanism.
            base: counts without canaries: one number, or one for each interval.
        """
        without = np.broadcast_to(np.asarray(base), len(self.added))
        cells = self.released.reshape(len(self.included), *self.added.shape) - without[:, None]
        return np.asarray(np.tensordot(cells, self._direction(noise), 2))

    def middle(self, noise: Noise) -> float:
        """Return the score half way between a canary that is in the data and one that is not."""
        return float((self.added * self._direction(noise)).sum() / 2)

    def _direction(self, noise: Noise) -> Floats:
        weights = self.added / noise.bound.weight
        if isinstance(noise, OffsetNoise):
            share = noise.offset**2 / (noise.sigma**2 + noise.cells * noise.offset**2)
            weights = weights - share * weights.sum(axis=0)
        if isinstance(noise, RunNoise):
            once = filtered(weights.astype(np.int64), noise.taps)  # A·d, and Aᵀ of it from behind
            weights = filtered(once[::-1], noise.taps)[::-1] / noise.grid**2
        return weights


def contribution(noise: Noise) -> Floats:
    """Return what one unit adds that costs (next to) most, [T, R]."""
    bound = noise.bound
    if isinstance(noise, RunNoise):
        return _in_runs(noise)
    if not isinstance(noise, OffsetNoise):
        return np.full((bound.intervals, bound.regions), float(bound.weight))
    cost = GroupCost(noise.sigma, noise.offset, noise.grid, noise.cells, bound.weight)
    added = np.zeros((noise.cells, noise.unit.regions))
    for region, number in enumerate(worst_presence(noise.unit, cost)):
        added[:number, region] = bound.weight  # which intervals they are costs nothing
    return added


def _in_runs(noise: RunNoise) -> Floats:
    """Return equal runs, one after the other, in two regions in turns where there are two."""
    regions = min(2, noise.unit.regions)
    added, start = np.zeros((noise.cells, regions)), 0
    for number, length in enumerate(noise.unit.lengths):
        added[start : start + length, number % regions] = 1.0
        start += length
    return added


def plant(noise: Noise, canaries: int, *, base: int = 100, seed: int | None = None) -> Planted:
    """Release made-up panels in which every canary contributes what costs most.

    Under "add or remove the records of one unit" an included canary adds w_max to each of its M·K
    cells, or to those of them that correlated noise hides least. The charge goes to a ledger in memory,
    since the data are made up.

    Args:
        noise: the mechanism.
        canaries: m.
        base: count of every cell without canaries.
        seed: of the coins, never of the noise; None for any.
    """
    included = np.random.default_rng(seed).random(canaries) < 0.5
    added = contribution(noise)
    raw = float(base) + (included[:, None, None] * added).reshape(-1, added.shape[1])
    return Planted(included, added, raw, draw(noise, raw, len(added)))


def draw(noise: Noise, raw: Floats, rows: int) -> Floats:
    """Return made-up panels of `rows` intervals each, one after the other, with noise, [m·T, R]."""
    if isinstance(noise, OffsetNoise):
        return noise.draw(raw, permit_for(noise), np.arange(len(raw)) // rows)
    if isinstance(noise, RunNoise):
        return _side_by_side(noise, raw, rows)
    return noise.draw(raw, permit_for(noise))


def _side_by_side(noise: RunNoise, raw: Floats, rows: int) -> Floats:
    """Return panels with noise, drawn as regions of one panel: the filter may not go across two."""
    columns, panels = raw.shape[1], len(raw) // rows
    wide = raw.reshape(panels, rows, columns).transpose(1, 0, 2).reshape(rows, panels * columns)
    # more draws cost some 1e-17 of epsilon, which no calibration leaves
    budget = Budget(noise.budget.epsilon * (1 + 1e-9), noise.budget.delta)
    together = replace(noise, unit=replace(noise.unit, regions=panels * columns), budget=budget)
    noised = together.draw(wide, permit_for(together))
    return noised.reshape(rows, panels, columns).transpose(1, 0, 2).reshape(raw.shape)


def permit_for(noise: Noise) -> Permit:
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
