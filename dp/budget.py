"""Budgets, and the refusal of a release that would pass one."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """An (epsilon, delta) pair; never shown without its unit and neighbouring relation.

    Example:
        >>> Budget(epsilon=1.0, delta=1e-6)
        Budget(epsilon=1.0, delta=1e-06)
        >>> Budget(epsilon=0.0, delta=1e-6)
        Traceback (most recent call last):
            ...
        ValueError: expected epsilon=0 to be above 0 and finite
    """

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < math.inf:
            raise ValueError(f"expected epsilon={self.epsilon:g} to be above 0 and finite")
        if not 0 < self.delta < 1:
            raise ValueError(f"expected delta={self.delta:g} to be above 0 and below 1")


class BudgetRefused(Exception):  # noqa: N818  (the vocabulary of the design)
    """The release would spend more than the cap; nothing was drawn.

    Attributes:
        requested: epsilon of the requested release.
        spent: epsilon spent so far, composed.
        left: the largest epsilon that a release may have.
        short: the epsilon that is missing for the requested release.
        fits: what would be granted instead, in words.
    """

    def __init__(
        self,
        *,
        requested: float,
        spent: float,
        left: float,
        account: str,
        terms: str,
        fits: tuple[str, ...] = (),
    ) -> None:
        self.requested, self.spent, self.left, self.fits = requested, spent, left, fits
        self.short = requested - left
        instead = f"What would fit: {'; '.join(fits)}. " if fits else "Nothing of the kind fits. "
        super().__init__(
            f"privacy budget of {account} refused, nothing was drawn: requested epsilon "
            f"{requested:.4g}, spent {spent:.4g}, left {left:.4g}, short by {self.short:.4g} ({terms}). "
            f"{instead}"
            "Or have the cap raised by its owner (veilcast budget cap)."
        )
