"""Proof of noise: measured evidence that a training was private, instead of a claim.

While a model trains, batches and noise are counted where they take effect: noise is measured as the
change of the gradient, not as the requested noise. Afterwards four things must hold: every update was
noised, at the strength that was accounted for; the batches were drawn at the rate that was accounted
for; two short runs with one seed and two strengths of noise end in different weights; and both noise and
batches came from the cryptographic generator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from dp.mechanisms.window_sampling import WindowSampling

CRYPTOGRAPHIC = "noise and batches come from a cryptographic generator"
"""Name of the check that releases of earlier versions fail: their generator had 2^32 states."""

_UNLIKELY = 6.0
"""Standard deviations that a correct run exceeds once in 500 million."""


class Draws:
    """Counts of the batches and the noise that were drawn, and of how they were used.

    Args:
        std: expected standard deviation of the noise, from the account and not from what draws it.
        cryptographic: whether noise and batches come from `dp.mechanisms.randomness.Generator`.
    """

    def __init__(self, std: float, *, cryptographic: bool) -> None:
        self._std = std
        self.cryptographic = cryptographic
        self.drawn: list[int] = []
        self.updates: list[int] = []
        self.noised = 0
        self.values = 0
        self.energy = 0.0

    def drew(self, size: int) -> None:
        """Count a batch of `size` windows that was handed out."""
        self.drawn.append(size)

    def used(self, size: int) -> None:
        """Count an update from a batch of `size` windows."""
        self.updates.append(size)

    def noise(self, added: Tensor) -> None:
        """Count the noise that was added to one gradient."""
        self.noised += 1
        self.values += added.numel()
        if self._std > 0:
            self.energy += float(added.double().square().sum()) / self._std**2


@dataclass(frozen=True)
class Proof:
    """Outcome of the checks, by name; all must hold.

    Attributes:
        checks: what was checked, and whether it held.
    """

    checks: dict[str, bool]

    @property
    def holds(self) -> bool:
        """Whether the run may be called private."""
        return bool(self.checks) and all(self.checks.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the proof as JSON values."""
        return {"holds": self.holds, "checks": dict(self.checks)}


def reread(document: dict[str, Any]) -> dict[str, Any]:
    """Return a stored proof (`Proof.to_dict`), failed if its generator was never checked.

    Proofs of earlier versions lack that check: noise from a generator with few states can be searched,
    whatever the account says.
    """
    checks = {CRYPTOGRAPHIC: False, **document["checks"]}
    return Proof(checks).to_dict()


def prove(sampling: WindowSampling, draws: Draws, *, parameters: int, twins_differ: bool) -> Proof:
    """Compare the draws with the account.

    Args:
        sampling: the sampling that was accounted for.
        draws: what was drawn.
        parameters: number of tensors that are updated, each noised at every step.
        twins_differ: result of `dp.private.training.twins_differ`.
    """
    ratio = draws.energy / draws.values if draws.values else 0.0
    # the mean of squares of standard Gaussians: variance 2 each
    tolerance = _UNLIKELY * math.sqrt(2 / max(1, draws.values)) + 1e-3
    return Proof(
        {
            "every update was noised": draws.noised == sampling.steps * parameters,
            "the noise has the strength accounted for": draws.values > 0
            and sampling.noise_multiplier > 0
            and abs(ratio - 1) <= tolerance,
            "every batch drawn was used once": draws.updates == draws.drawn
            and len(draws.drawn) == sampling.steps,
            "batches vary as under the sampling accounted for": _is_binomial(
                draws.drawn, sampling.windows, sampling.rate
            ),
            "twin runs that differ in noise alone end in different weights": twins_differ,
            CRYPTOGRAPHIC: draws.cryptographic,
        }
    )


def _is_binomial(sizes: list[int], windows: int, rate: float) -> bool:
    """Return whether mean and variance of the sizes fit the binomial law, within chance."""
    steps, variance = len(sizes), windows * rate * (1 - rate)
    if not steps:
        return False
    if variance == 0:
        return all(size == windows for size in sizes)
    off = [size - windows * rate for size in sizes]
    mean, spread = sum(off) / steps, sum(value * value for value in off) / steps
    fourth = variance * (1 + 3 * variance * (1 - 2 / windows))  # of the binomial law
    deviation = math.sqrt(max(0.0, fourth - variance**2) / steps)
    return (
        abs(mean) <= _UNLIKELY * math.sqrt(variance / steps)
        and abs(spread - variance) <= _UNLIKELY * deviation + variance * 1e-9
    )
