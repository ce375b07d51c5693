"""The promise of a run in figures and words, whichever mechanism keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field

from dp import statement
from flows.document import Document


@dataclass(frozen=True)
class Guarantee:
    """The guarantee of a run; everything is None where there is no mechanism.

    Attributes:
        statement: what is guaranteed, to whom.
        unit, neighbours, epsilon, delta: the guarantee.
        sensitivity: L2 sensitivity of the counts, in persons; under `input`.
        sigma: standard deviation in persons under `input`, noise multiplier under `gradient`.
        sigma_unshared: of the noise that every count has of its own, beside an offset that it shares
            with others; under `input`.
        epsilon_naive: what a per-window account would say; under `gradient`, never a guarantee.
        proof: checks of the noise; under `gradient`.
        ledger_entry: number of the charge.
        release: name of the kept panel that forecasts read.
        stream: name of the released stream that forecasts read.
    """

    statement: Document = field(default_factory=statement.no_privacy)
    unit: str | None = None
    neighbours: str | None = None
    epsilon: float | None = None
    delta: float | None = None
    sensitivity: float | None = None
    sigma: float | None = None
    sigma_unshared: float | None = None
    epsilon_naive: float | None = None
    proof: Document | None = None
    ledger_entry: int | None = None
    release: str | None = None
    stream: str | None = None
