"""Values of the ledger: its entries and its accounts."""

from __future__ import annotations

from dataclasses import dataclass

from dp.budget import Budget
from dp.charge import Charge
from dp.unit.privacy_unit import Unit


@dataclass(frozen=True)
class Entry(Charge):
    """A charge in the ledger.

    Attributes:
        id: its number.
        time: when it was reserved, UTC.
        state: `reserved`, `committed`, `released` or `voided`.
        hash: of its line in the log.
    """

    id: int = 0
    time: str = ""
    state: str = "reserved"
    hash: str = ""


@dataclass(frozen=True)
class Account:
    """One data set and one privacy unit.

    Attributes:
        id: its number.
        dataset: name of the data set.
        unit: privacy unit.
        population: whose records these are, if declared.
        cap: the most that may ever be spent; None for no cap.
    """

    id: int
    dataset: str
    unit: Unit
    population: str | None
    cap: Budget | None
