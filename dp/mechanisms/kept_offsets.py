"""Offsets that are kept while their group lives: a stream's counts come piece by piece.

The offsets of a group are a function of its seed, so that every piece gets the same ones. What the
ledger's database keeps is not the seed, but 32 random bytes of the operating system (the *sealed* seed)
that give it together with the installation's secret alone. Noise of single counts is drawn afresh for
every piece and never kept: whoever gets at a seed is left with it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dp.mechanisms.count_noise import discrete_gaussian
from dp.mechanisms.discrete import LARGEST, SMALLEST, KeyedWords, sample
from dp.mechanisms.offset_noise import OffsetNoise, within_range
from dp.mechanisms.seed import KEY_BYTES, Seed
from dp.permit import Permit

PIECE = "piece of a group that was charged"
"""Mechanism of the events of all pieces of a group but the first, which was charged for the group."""


def sealed_seed() -> bytes:
    """Return the sealed seed of a new group, from the operating system's generator."""
    return secrets.token_bytes(KEY_BYTES)


def unseal(sealed: bytes, secret: bytes) -> Seed:
    """Return the seed of a group: a keyed hash of what is kept, under the installation's secret."""
    return Seed(hmac.new(secret, b"offsets of a group " + sealed, hashlib.sha256).digest())


def can_be_kept(noise: OffsetNoise) -> bool:
    """Return whether the offsets can be drawn from a seed: their size is in the sampler's range."""
    return SMALLEST <= noise.offset * noise.grid <= LARGEST


def offsets_of(noise: OffsetNoise, seed: Seed) -> NDArray[np.int64]:
    """Return the offset of each region, in steps of the grid, [R]; exact, and the same every time."""
    return sample(noise.unit.regions, noise.offset * noise.grid, KeyedWords(seed.value, stream=0))


def piece_event(noise: OffsetNoise, group: int, epsilon: float) -> dict[str, Any]:
    """Return the event of a further piece, which costs nothing beyond its group's charge.

    Args:
        noise: of the group.
        group: number of the ledger entry that was charged for it.
        epsilon: that it was charged with.
    """
    return {**noise.event(), "mechanism": PIECE, "group": group, "epsilon": epsilon}


def draw_piece(
    noise: OffsetNoise,
    counts: NDArray[np.float64],
    permit: Permit,
    event: dict[str, Any],
    offsets: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return counts plus the offsets of their group and fresh noise, [T, R]; rows of NaN stay.

    Args:
        noise: of the group.
        counts: raw counts of one group or a part of it, [T, R].
        permit: from the ledger, for this piece.
        event: that was charged for the piece.
        offsets: by `offsets_of`, [R].

    Raises:
        ValueError: a count is not a whole number, or there are more than the group has.
    """
    observed = ~np.isnan(counts).any(axis=1)
    whole = counts[observed].astype(np.int64)
    if not np.array_equal(whole, counts[observed]):
        raise ValueError("noise is for whole counts; aggregate or round at the source")
    whole = within_range(whole)
    if counts.shape[1] != noise.unit.regions or len(whole) > noise.cells:
        raise ValueError(
            f"expected at most {noise.cells} counts in each of {noise.unit.regions} regions"
        )
    permit.use("noise on counts", event)
    drawn = discrete_gaussian(whole * noise.grid, noise.sigma * noise.grid)
    noised = np.full(counts.shape, np.nan)
    noised[observed] = (drawn + offsets) / noise.grid
    return noised
