"""Search for the key that noise came from, among fewer keys than there should be.

Anybody who finds the key can remove the noise. A search succeeds against a generator with a short key,
whatever epsilon was accounted for; against a key of 128 bits or more it is hopeless. So two things are
measured: how many bits of the key the noise depends on, and whether an enumeration finds anything.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dp.mechanisms.randomness import Generator
from dp.mechanisms.seed import KEY_BYTES, Seed

Floats = NDArray[np.float64]
Noise = Callable[[int], Floats]
"""The first noise that a key gives."""

ENOUGH = 128
"""Bits of a key that no search gets through."""
_NUMBERS = 4
"""Values of noise that are compared: more than enough to tell keys apart."""


@dataclass(frozen=True)
class KeySearch:
    """Result of a search.

    Attributes:
        keys: number of keys that were tried.
        found: whether one of them explains the release.
        right: whether it also identifies the released one of two neighbours; None if no key was found.
    """

    keys: int
    found: bool
    right: bool | None


def key_bits() -> int:
    """Return the number of bits of the key that a training's noise and batches come from."""
    return 8 * len(Seed().value)


def first_noise(key: int) -> Floats:
    """Return the first noise of the generator of private trainings, standard deviation 1."""
    drawn = Generator(_key(key)).normal(torch.zeros(_NUMBERS), 1.0)
    return drawn.double().numpy()


def first_batch(key: int) -> Floats:
    """Return the first uniform numbers that batches are drawn by."""
    return Generator(_key(key)).uniform(_NUMBERS).numpy()


def bits_that_count(draw: Noise, bits: int) -> int:
    """Return the number of key bits of which a change shows in the numbers drawn."""
    key = secrets.randbits(bits)
    usual = draw(key)
    return sum(not np.array_equal(usual, draw(key ^ (1 << bit))) for bit in range(bits))


def search(released: Floats, neighbours: tuple[Floats, Floats], keys: Iterable[int]) -> KeySearch:
    """Try keys on a release of one of two neighbours, the first of which it is.

    Args:
        released: a neighbour's values and noise, [4].
        neighbours: the values of both, [4] each; the attacker knows them.
        keys: to try.
    """
    tried = 0
    for key in keys:
        tried += 1
        noise = first_noise(key)
        for place, values in enumerate(neighbours):
            if np.allclose(values + noise, released, rtol=0, atol=1e-5):
                return KeySearch(tried, True, place == 0)
    return KeySearch(tried, False, None)


def released_under(key: int | None) -> tuple[Floats, tuple[Floats, Floats]]:
    """Return a release under a key (None for a random one) and its two neighbours."""
    neighbours = np.zeros(_NUMBERS), np.full(_NUMBERS, 0.02)
    if key is not None:
        return neighbours[0] + first_noise(key), neighbours
    noise = Generator().normal(torch.zeros(_NUMBERS), 1.0)
    return neighbours[0] + noise.double().numpy(), neighbours


def _key(number: int) -> bytes:
    """Return a number as a key."""
    return number.to_bytes(KEY_BYTES, "little")
