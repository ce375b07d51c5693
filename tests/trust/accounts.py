"""Releases of one data set in several disguises, and what they cost whom in truth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr

from data import validate
from data.errors import DataError
from dp.budget import BudgetRefused
from dp.errors import LedgerError
from dp.ledger import Ledger
from dp.unit import PrivacyUnit
from flows import counted, privatise
from flows.errors import UsageError
from flows.loop import stream
from flows.recipe import Recipe, from_dict
from flows.settings import Home

DELTA = 1e-7
REFUSALS = (UsageError, DataError, LedgerError, BudgetRefused)
"""What a release may be answered with in place of noise; each is a message for people."""


@dataclass(frozen=True)
class Part:
    """One release of a part of the data, under one of its names.

    Attributes:
        recipe: of the release.
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
        true: of all releases together, from the counts that really change.
        refused: messages of the parts that were not released.
        statements: what each part that was released says.
    """

    told: float
    true: float
    refused: tuple[str, ...] = ()
    statements: tuple[Any, ...] = field(default=(), repr=False)


def recipe(unit: str, name: str, *, epsilon: float = 1.0, **sections: dict[str, Any]) -> Any:
    """A release by noise on counts."""
    privacy = {"unit": unit, "epsilon": epsilon, "delta": DELTA, **sections.pop("privacy", {})}
    named = {"name": name, "max_gap": "400d", **sections.pop("source", {})}
    return {"source": named, "privacy": privacy, **sections}


def cost(parts: list[Part], unit: PrivacyUnit, home: Home, patch: Any) -> Cost:
    """Release all parts, and compare the ledger with the counts that one unit changes."""
    ledger, square = Ledger(home.database_url), 0.0
    refused, statements = [], []
    for part in parts:
        if part.folder is not None:
            patch.chdir(part.folder)
        asked = from_dict(part.recipe)
        part.write(True)
        before = {entry.id for entry in ledger.entries()}
        try:
            given = counts_of(asked)
            statements.append(_release(part, asked, home))
        except REFUSALS as error:
            refused.append(str(error))
            continue
        part.write(False)
        changed = _changed(given, counts_of(asked))
        # a stream is charged piece by piece, all of them with the same noise
        new = [entry for entry in ledger.entries() if entry.id not in before]
        if new:
            square += changed / new[-1].event["sigma"] ** 2
    names = {entry.dataset for entry in ledger.entries()}
    told = max((ledger.spent(name, unit, DELTA) for name in names), default=0.0)
    return Cost(told, epsilon_of(math.sqrt(square)), tuple(refused), tuple(statements))


def counts_of(asked: Recipe) -> pd.DataFrame:
    """The counts that noise is put on."""
    panel, _ = validate.to_panel(counted.read(asked), max_gap=asked.source.max_gap, short=True)
    return panel.counts


def epsilon_of(mu: float, delta: float = DELTA) -> float:
    """Epsilon of a Gaussian mechanism, exactly (Balle and Wang 2018, theorem 8)."""
    if mu == 0:
        return 0.0

    def excess(epsilon: float) -> float:
        far = math.exp(epsilon + log_ndtr(-mu / 2 - epsilon / mu))
        return float(ndtr(mu / 2 - epsilon / mu)) - far - delta

    return float(brentq(excess, 0.0, 50 * mu + mu * mu)) if excess(0.0) > 0 else 0.0


def _release(part: Part, asked: Recipe, home: Home) -> Any:
    if part.streamed:
        done = stream.release(asked, home, stream.arrived(asked, home))
        if done.refused:
            raise UsageError(done.refused)
        return done
    panel, _ = validate.to_panel(counted.read(asked), max_gap=asked.source.max_gap, short=True)
    return privatise.privatise(panel, asked, home).promise.statement


def _changed(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """Squared distance of two panels that have the same cells."""
    assert list(one.columns) == list(other.columns)
    assert one.index.equals(other.index)
    return float(np.nansum(np.square(one.to_numpy(float) - other.to_numpy(float))))
