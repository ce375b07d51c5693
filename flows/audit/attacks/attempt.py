"""One attack and its result."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Attempt:
    """An attack on made-up data.

    Attributes:
        kind: what is attacked.
        tried: what was done, in words.
        claimed: what has to hold.
        found: the result, in words.
        refutes: whether the claim does not hold.
        works: whether the attack succeeds in a control, where the weakness was put in on purpose; None
            without a control.
    """

    kind: str
    tried: str
    claimed: str
    found: str
    refutes: bool
    works: bool | None = None
