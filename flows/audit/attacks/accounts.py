"""Attack: release one data set in several disguises, and compare what is told with what is true.

What is true is worked out from the counts that one unit's records really change, release by release;
the ledger has no part in it.
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
from flows.errors import UsageError
from flows.pipeline import privatise, read
from flows.recipe.recipe import Recipe, from_dict
from flows.settings import Home
from flows.stream import release

DELTA = 1e-7
REFUSALS = (UsageError, DataError, LedgerError, BudgetRefused)
"""What a release may be answered with in place of noise; each is a message for people."""
_ROUNDING = 1e-3
"""What discrete noise costs less than the Gaussian that the true cost is worked out by."""


@dataclass(frozen=True)
class Part:
    """One release of a part of the data, under one of its names.

    Attributes:
        recipe: values of its recipe.
        write: puts the source in place, with one unit's records (True) or without them.
        streamed: whether a schedule releases it.
        folder: where the command is started; None for anywhere.
    """

    recipe: dict[str, Any]
    write: Callable[[bool], None]
    streamed: bool = False
    folder: Path | None = None


@dataclass(frozen=True)
class Cost:
    """What was told and what is true, both as epsilon at `DELTA`.

    Attributes:
        told: by the account with the most spent.
        true: of all releases together.
        refused: messages of the parts that were not released.
    """

    told: float
    true: float
    refused: tuple[str, ...] = ()

    @property
    def hidden(self) -> bool:
        """Whether less was told than is true."""
        return self.told < self.true * (1 - _ROUNDING)


def cost(parts: list[Part], unit: PrivacyUnit, home: Home) -> Cost:
    """Release all parts, and compare the ledger with the counts that one unit changes.

    Args:
        parts: in their order.
        unit: whose records are there or not.
        home: whose ledger is charged; of made-up data alone.
    """
    ledger, square, refused = Ledger(home.database_url), 0.0, []
    for part in parts:
        asked = from_dict(part.recipe)
        before = {entry.id for entry in ledger.entries()}
        with nullcontext() if part.folder is None else chdir(part.folder):
            part.write(True)
            try:
                there = panel_of(asked)
                _release(part, asked, there, home)
            except REFUSALS as error:
                refused.append(str(error))
                continue
            part.write(False)
            changed = _squared_distance(there.counts, panel_of(asked).counts)
        # a stream is charged piece by piece, all of them with the same noise
        if new := [entry for entry in ledger.entries() if entry.id not in before]:
            square += changed / new[-1].event["sigma"] ** 2
    names = {entry.dataset for entry in ledger.entries()}
    told = max((ledger.spent(name, unit, DELTA) for name in names), default=0.0)
    return Cost(told, epsilon_of(math.sqrt(square)), tuple(refused))


def attempt(kind: str, tried: str, found: Cost) -> Attempt:
    """What came of it, for people."""
    said = f"{found.told:.3f} told, {found.true:.3f} true"
    if found.refused:
        said += f"; refused: {found.refused[0]}"
    return Attempt(
        kind=kind,
        tried=tried,
        claimed="the ledger tells at least the true epsilon",
        found=said,
        refutes=found.hidden,
    )


def panel_of(asked: Recipe) -> Panel:
    """The counts that noise is put on."""
    return validate.to_panel(read.read(asked), max_gap=asked.source.max_gap, short=True)[0]


def epsilon_of(mu: float, delta: float = DELTA) -> float:
    """Epsilon of a Gaussian mechanism, exactly."""
    if mu == 0:
        return 0.0
    return smallest_epsilon(lambda epsilon: gaussian_delta(mu, epsilon), delta)


def values(unit: str, name: str, **sections: dict[str, Any]) -> Any:
    """Values of a recipe for a release by noise on counts, of epsilon 1."""
    privacy = {"unit": unit, "epsilon": 1.0, "delta": DELTA, **sections.pop("privacy", {})}
    named = {"name": name, "max_gap": "400d", **sections.pop("source", {})}
    return {"source": named, "privacy": privacy, **sections}


def _release(part: Part, asked: Recipe, there: Panel, home: Home) -> None:
    if not part.streamed:
        privatise.privatise(there, asked, home)
        return
    done = release.release(asked, home, release.arrived(asked, home))
    if done.refused:
        raise UsageError(done.refused)


def _squared_distance(one: pd.DataFrame, other: pd.DataFrame) -> float:
    if not (one.index.equals(other.index) and one.columns.equals(other.columns)):
        raise ValueError("expected neighbours to have the same intervals and regions")
    return float(np.nansum(np.square(one.to_numpy(float) - other.to_numpy(float))))
