"""Attack: release one data set under several names, and compare the ledger's epsilon with the true one.

The true epsilon is computed from the counts that one unit's records really change, release by release,
without the ledger.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import chdir, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data import validate
from data.errors import DataError
from data.panel import Panel
from dp.accounting.gaussian import gaussian_delta, smallest_epsilon
from dp.budget import BudgetRefused
from dp.errors import LedgerError
from dp.ledger import Ledger
from dp.unit.privacy_unit import PrivacyUnit
from flows.audit.attacks.attempt import Attempt
from flows.document import Document
from flows.errors import UsageError
from flows.pipeline import privatise, read
from flows.recipe.recipe import Recipe, from_dict
from flows.settings import Home
from flows.stream import release

DELTA = 1e-7
REFUSALS = (UsageError, DataError, LedgerError, BudgetRefused)
"""Errors with which a release may be refused; each has a message for people."""
_ROUNDING = 1e-3
"""Relative difference between discrete noise and the Gaussian that the true cost assumes."""


@dataclass(frozen=True)
class Part:
    """One release of a part of the data, under one of its names.

    Attributes:
        recipe: values of its recipe.
        write: puts the source in place, with one unit's records (True) or without them.
        streamed: whether a schedule releases it.
        folder: working directory of the command; None for any.
    """

    recipe: Document
    write: Callable[[bool], None]
    streamed: bool = False
    folder: Path | None = None


@dataclass(frozen=True)
class Cost:
    """Reported and true cost, both as epsilon at `DELTA`.

    Attributes:
        reported: by the account with the most spent.
        true: of all releases together.
        refused: messages of the parts that were not released.
    """

    reported: float
    true: float
    refused: tuple[str, ...] = ()

    @property
    def hidden(self) -> bool:
        """Whether the reported cost is below the true one."""
        return self.reported < self.true * (1 - _ROUNDING)


def cost(parts: list[Part], unit: PrivacyUnit, home: Home) -> Cost:
    """Release all parts, and compare the ledger with the counts that one unit changes.

    Args:
        parts: in their order.
        unit: whose records are there or not.
        home: whose ledger is charged; of made-up data alone.
    """
    ledger, square, refused = Ledger(home.database_url), 0.0, []
    for part in parts:
        recipe = from_dict(part.recipe)
        before = {entry.id for entry in ledger.entries()}
        with nullcontext() if part.folder is None else chdir(part.folder):
            part.write(True)
            try:
                panel = panel_of(recipe)
                _release(part, recipe, panel, home)
            except REFUSALS as error:
                refused.append(str(error))
                continue
            part.write(False)
            changed = _difference(panel.counts, panel_of(recipe).counts)
        # a stream is charged piece by piece, all of them with the same noise
        if new := [entry for entry in ledger.entries() if entry.id not in before]:
            square += _loss(changed, new[-1].event)
    names = {entry.dataset for entry in ledger.entries()}
    reported = max((ledger.spent(name, unit, DELTA) for name in names), default=0.0)
    return Cost(reported, epsilon_of(math.sqrt(square)), tuple(refused))


def attempt(kind: str, tried: str, result: Cost) -> Attempt:
    """Describe the result of the attack."""
    outcome = f"{result.reported:.3f} reported, {result.true:.3f} true"
    if result.refused:
        outcome += f"; refused: {result.refused[0]}"
    return Attempt(
        kind=kind,
        tried=tried,
        claimed="the ledger reports at least the true epsilon",
        found=outcome,
        refutes=result.hidden,
    )


def panel_of(recipe: Recipe) -> Panel:
    """Read the counts that are noised."""
    return validate.to_panel(read.read(recipe), max_gap=recipe.source.max_gap, short=True)[0]


def epsilon_of(mu: float, delta: float = DELTA) -> float:
    """Return the exact epsilon of a Gaussian mechanism."""
    if mu == 0:
        return 0.0
    return smallest_epsilon(lambda epsilon: gaussian_delta(mu, epsilon), delta)


def values(unit: str, name: str, **sections: Document) -> Any:
    """Return values of a recipe that releases noised counts at epsilon 1.

    Noise is independent, under which a unit that is counted everywhere is the worst case.
    """
    noise = {"epsilon": 1.0, "delta": DELTA, "noise": "independent"}
    privacy = {"unit": unit, **noise, **sections.pop("privacy", {})}
    named = {"name": name, "max_gap": "400d", **sections.pop("source", {})}
    return {"source": named, "privacy": privacy, **sections}


def _release(part: Part, recipe: Recipe, panel: Panel, home: Home) -> None:
    if not part.streamed:
        privatise.privatise(panel, recipe, home)
        return
    ingested = release.release(recipe, home, release.arrived(recipe, home))
    if ingested.refused:
        raise UsageError(ingested.refused)


def _difference(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    if not (first.index.equals(second.index) and first.columns.equals(second.columns)):
        raise ValueError("expected neighbours to have the same intervals and regions")
    return (first.astype(float) - second.astype(float)).dropna()


def _loss(changed: pd.DataFrame, event: Document) -> float:
    """Return dᵀΛd, the squared loss of a change under Gaussian noise with or without shared offsets."""
    count, offset = float(event["sigma"]) ** 2, float(event.get("offset", 0.0)) ** 2
    square = float(np.square(changed.to_numpy()).sum()) / count
    if not offset:
        return square
    times, shown = pd.DatetimeIndex(changed.index), {"user-day": "D", "user-week": "W-SUN"}
    named = shown.get(event["per"])
    groups = np.zeros(len(times)) if named is None else times.to_period(named)
    for _, group in changed.groupby(groups):
        share = offset / (count * (count + len(group) * offset))
        square -= share * float(np.square(group.sum(axis=0)).sum())
    return square
