"""Permits to draw noise, issued by the ledger for committed charges only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LEDGER = object()


class Permit:
    """Proof that a charge is committed, required by everything that draws noise.

    Only the ledger makes one (`Ledger.commit`), and it is good for one draw per purpose.

    Attributes:
        entry: number of the charge in the ledger.
        key: idempotency key of the release.
        event: the mechanism that was charged.
    """

    def __init__(self, entry: int, key: str, event: Mapping[str, Any], *, by: object) -> None:
        if by is not _LEDGER:
            raise TypeError("a Permit comes from Ledger.commit, after the charge; do not make one")
        self.entry, self.key, self.event = entry, key, dict(event)
        self._used: set[str] = set()

    def use(self, purpose: str, event: Mapping[str, Any]) -> None:
        """Use the permit for one draw.

        Args:
            purpose: which draw of the release this is.
            event: the mechanism that is about to draw; must be the one that was charged.

        Raises:
            RuntimeError: the mechanism is not the charged one, or has already drawn.
        """
        if purpose in self._used:
            raise RuntimeError(f"entry {self.entry} has paid for one {purpose}, which was drawn")
        other = [name for name, value in event.items() if self.event.get(name) != value]
        if other:
            raise RuntimeError(
                f"entry {self.entry} has paid for another mechanism ({', '.join(other)} differ)"
            )
        self._used.add(purpose)
