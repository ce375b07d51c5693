"""`veilcast audit promise`: all attacks, in a table."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flows.audit.attacks import keys
from flows.audit.attacks.attempt import Attempt
from flows.audit.attacks.disguises import accounts
from flows.audit.attacks.files import files
from flows.audit.attacks.poison import poison
from flows.runtime import progress

TRIES = 10_000
"""Keys that are tried: a few seconds."""
MADE_UP = "made-up data only; nothing was read of any source, and nothing was charged"


@dataclass(frozen=True)
class PromiseAudit:
    """What came of all attacks.

    Attributes:
        attempts: one by one.
        seconds: that it took.
        data: what was read.
    """

    attempts: tuple[Attempt, ...]
    seconds: float
    data: str = MADE_UP

    @property
    def refuted(self) -> bool:
        """Whether a claim does not hold, or an attack that has to work does not."""
        return any(one.refutes or one.works is False for one in self.attempts)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            **asdict(self),
            "attempts": [asdict(one) for one in self.attempts],
            "refuted": self.refuted,
        }


def audit_promise(tries: int = TRIES) -> PromiseAudit:
    """Attack what every run promises, on made-up data.

    Args:
        tries: keys that are tried.
    """
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        attempts = tuple(_attempts(Path(folder), tries))
    return PromiseAudit(attempts, round(time.perf_counter() - started, 1))


def _attempts(folder: Path, tries: int) -> Iterator[Attempt]:
    progress.stage("audit: keys")
    yield keys.bits()
    yield keys.search(tries)
    progress.stage("audit: a poisoned window")
    yield poison()
    progress.stage("audit: neighbouring files")
    yield from files(folder)
    progress.stage("audit: neighbouring accounts")
    yield from accounts(folder)
