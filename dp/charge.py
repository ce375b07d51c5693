"""Charges: what a release is about to spend, with the facts that other units' costs follow from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dp.unit.period import Period
from dp.unit.privacy_unit import Unit

PURPOSES = (
    "panel",
    "stream",
    "training",
    "trial",
    "scaler",
    "statistic",
    "forecast inputs",
    "audit",
)
"""Purposes of a release; `stream` is for intervals that are released as they come."""


@dataclass(frozen=True)
class Charge:
    """A release's cost, before it is spent.

    Attributes:
        key: idempotency key of the release.
        dataset: name of the data set; everything spent on it adds up.
        fingerprint: keyed fingerprint of the panel; the same panel is the same data set under any name.
        period: of the panel.
        unit: privacy unit.
        epsilon: epsilon of this release at `delta`.
        delta: delta.
        event: the mechanism with its parameters, and under `panel` the public facts that other units'
            costs are computed from (`dp.composition.unit_conversion`).
        purpose: one of `PURPOSES`.
        bound: reasons why one unit can change no more than the event assumes.
        population: whose records these are, if declared.
        recipe: the recipe of the run, as JSON values.
        aliases: further names of the same data set: resolved paths, canonical URLs, a stream's.
        sketch: keyed prints of parts of the panel (`dp.ledger.identity.sketch`).
        timezone: zone by whose clock the period is given; None if the source does not name it.
    """

    key: str
    dataset: str
    fingerprint: str
    period: Period
    unit: Unit
    epsilon: float
    delta: float
    event: dict[str, Any]
    purpose: str
    bound: tuple[str, ...] = ()
    population: str | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    sketch: tuple[str, ...] = ()
    timezone: str | None = None

    def __post_init__(self) -> None:
        if self.purpose not in PURPOSES:
            raise ValueError(
                f"purpose={self.purpose!r} is unknown; choose one of {', '.join(PURPOSES)}"
            )
