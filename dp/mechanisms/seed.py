"""Seeds of noise that outlive the process which draws it, and nothing else.

Whoever hands work to others may lose one of them in the middle of a training: noise was drawn, nothing
came out. Fresh noise would be a second release, and a second charge. With the same seed the second
attempt is the first one once more. The seed stays in memory; the ledger keeps a keyed mark of it, which
tells whether a seed is the same and gives nobody the noise.
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
    """Where all random numbers of one training come from; secret, and never written down.

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
        """Keyed mark: without the installation's secret nobody can try seeds on it."""
        return hmac.new(secret, b"seed " + self.value, hashlib.sha256).hexdigest()
