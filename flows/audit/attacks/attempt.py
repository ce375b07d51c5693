"""One attack and what came of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Attempt:
    """An attack on made-up data.

    Attributes:
        kind: what is attacked.
        tried: what was done, in words.
        claimed: what has to hold.
        found: what was seen.
        refutes: whether the claim does not hold.
        works: whether the attack found what it looks for where it was put in on purpose; None where
            there is no such control.
    """

    kind: str
    tried: str
    claimed: str
    found: str
    refutes: bool
    works: bool | None = None
