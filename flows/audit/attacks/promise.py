"""`veilcast audit promise`: all attacks, in a table."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from flows.audit.attacks import keys
from flows.audit.attacks.attempt import Attempt
from flows.audit.attacks.disguises import accounts
from flows.audit.attacks.files import files
from flows.audit.attacks.poison import poison
from flows.document import Document
from flows.runtime import progress

TRIES = 10_000
"""Number of keys to try, which takes a few seconds."""
MADE_UP = "made-up data only; no source was read, and nothing was charged"


@dataclass(frozen=True)
class PromiseAudit:
    """Results of all attacks.

    Attributes:
        attempts: one per attack.
        seconds: duration.
        data: which data were read, in words.
    """

    attempts: tuple[Attempt, ...]
    seconds: float
    data: str = MADE_UP

    @property
    def refuted(self) -> bool:
        """Whether a claim does not hold, or an attack that has to work does not."""
        return any(attempt.refutes or attempt.works is False for attempt in self.attempts)

    def to_dict(self) -> Document:
        """Return the results as JSON values."""
        return {
            **asdict(self),
            "attempts": [asdict(attempt) for attempt in self.attempts],
            "refuted": self.refuted,
        }


def audit_promise(tries: int = TRIES) -> PromiseAudit:
    """Attack what every run promises, on made-up data.

    Args:
        tries: number of keys to try.
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
