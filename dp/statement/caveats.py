"""Caveats: where floating point, timing and platform fall short of the ideal mechanism."""

from __future__ import annotations

COUNT_LIBRARIES = ("opendp", "dp-accounting", "numpy")
TRAINING_LIBRARIES = ("torch", "opacus", "dp-accounting", "numpy")

EXACT = (
    "no gap is known. Counts are whole numbers, and all noise is exactly sampled discrete Gaussian: of "
    "whole persons or, where counts share offsets, of fractions that floating point holds exactly; it "
    "is not a rounded real number"
)
"""Floating-point caveat of noise on counts."""
_TIMING = (
    "timing: how long a run takes is not hidden. Whoever can watch the machine at work may learn from "
    "it what the guarantee does not cover"
)
_PLATFORM = (
    "platform: the machine, its administrators and the memory of the process are trusted, and so are "
    "the database of the ledger and the installation's secret key"
)


def of_counts() -> list[str]:
    """Return the caveats of noise on counts."""
    return [
        f"floating point: {EXACT}",
        f"{_TIMING}. Time and places in memory at which noise is drawn depend on the noise; no sampler "
        "in use hides that",
        "randomness: the noise is drawn from the operating system's cryptographic generator or, for "
        "few counts, from OpenSSL's, which the system seeds, and is as secret as that",
        _PLATFORM,
    ]


def of_training() -> list[str]:
    """Return the caveats of noise in training."""
    return [
        "floating point: training computes with 32-bit numbers, the account with ideal ones. Each "
        "Gaussian is the sum of four draws, which hides what the rounding of a single one can give "
        "away (Holohan and Braghin 2021); sums of gradients are rounded all the same",
        f"{_TIMING}; the size of a batch shows in the time of its update",
        "randomness: noise and batches come from AES-256 in counter mode, its key from the operating "
        "system. The guarantee holds against whoever cannot break that",
        _PLATFORM,
    ]
