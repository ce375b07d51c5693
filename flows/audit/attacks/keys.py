"""Attack: find the key of the noise."""

from __future__ import annotations

import secrets

from dp.audit import keys
from flows.audit.attacks.attempt import Attempt

_SHORT = 12
"""Bits of the key that is shortened on purpose, for the search to be seen to work."""


def bits() -> Attempt:
    """Change the key bit by bit, and see whether noise and batches change."""
    length = keys.key_bits()
    counted = min(
        keys.bits_that_count(draw, length) for draw in (keys.first_noise, keys.first_batch)
    )
    return Attempt(
        kind="key of noise and batches",
        tried=f"each of the {length} bits of a key changed",
        claimed=f"at least {keys.ENOUGH} bits decide",
        found=f"{counted} bits decide",
        refutes=counted < keys.ENOUGH,
    )


def search(tries: int) -> Attempt:
    """Try keys on a release, first on one whose key was shortened on purpose.

    Args:
        tries: keys that are tried on the real generator.
    """
    released, neighbours = keys.released_under(secrets.randbits(_SHORT))
    control = keys.search(released, neighbours, range(2**_SHORT))
    released, neighbours = keys.released_under(None)
    real = keys.search(released, neighbours, range(tries))
    short = "found" if control.found and control.right else "not found"
    return Attempt(
        kind="seed search",
        tried=f"{tries:,} keys on released numbers, both neighbours known",
        claimed="no key is found",
        found=f"{'a key' if real.found else 'none'} (a key of {_SHORT} bits: {short})",
        refutes=real.found,
        works=bool(control.found and control.right),
    )
