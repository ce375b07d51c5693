"""Seeds of noise that outlive the process which draws it, and nothing else.

Who hands work to others may lose one of them in the middle of a training: noise was drawn, nothing came
out. Fresh noise would be a second release, and a second charge. With the same seed the second attempt is
the first one once more. The seed stays in memory; the ledger keeps a keyed mark of it, which tells
whether a seed is the same and gives nobody the noise.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Seed:
    """Where all random numbers of one training come from; secret, and never written down.

    Attributes:
        value: 63 bits.
    """

    value: int = field(default_factory=lambda: secrets.randbits(63), repr=False)

    def mark(self, secret: bytes) -> str:
        """Keyed mark: without the installation's secret nobody can try seeds on it."""
        text = f"seed {self.value}".encode()
        return hmac.new(secret, text, hashlib.sha256).hexdigest()
