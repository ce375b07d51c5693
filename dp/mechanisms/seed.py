"""Seeds of noise that outlive the process which draws it.

A worker process may die in the middle of a training: noise was drawn, but there is no result. Fresh
noise would be a second release and a second charge; with the same seed the second attempt repeats the
first one. The seed stays in memory. The ledger stores a keyed mark of it, which identifies the seed
without revealing the noise.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

KEY_BYTES = 32
"""Length of a seed, which is the key of a cipher."""


@dataclass(frozen=True)
class Seed:
    """The secret source of all random numbers of one training, never written down.

    Attributes:
        value: the key of a `dp.mechanisms.randomness.Generator`, 32 bytes from the operating system.

    Raises:
        ValueError: the value has another length.
    """

    value: bytes = field(default_factory=lambda: secrets.token_bytes(KEY_BYTES), repr=False)

    def __post_init__(self) -> None:
        if len(self.value) != KEY_BYTES:
            raise ValueError(f"expected a seed of {KEY_BYTES} bytes, got {len(self.value)}")

    def mark(self, secret: bytes) -> str:
        """Return a keyed mark, on which seeds cannot be tried without the installation's secret."""
        return hmac.new(secret, b"seed " + self.value, hashlib.sha256).hexdigest()
