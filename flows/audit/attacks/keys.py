"""Attack: search for the key of the noise."""

from __future__ import annotations

import secrets

from dp.audit import keys
from flows.audit.attacks.attempt import Attempt

_SHORT = 12
"""Bits of the shortened key of the control, which the search has to find."""


def bits() -> Attempt:
    """Change the key bit by bit, and check whether noise and batches change."""
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
        tries: number of keys to try on the real generator.
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
