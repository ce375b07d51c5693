"""Declared nestings that noised counts contradict: found after the release, from noised counts alone."""

from __future__ import annotations

import math

import numpy as np

from data.panel import Panel
from dp.mechanisms.design import Noise

_SURE = 6.0
"""Standard deviations beyond which noise is no explanation, in a panel of any usual length."""


def contradictions(noised: Panel, noise: Noise) -> list[str]:
    """Say which declared outer regions count fewer people than those within them.

    Whoever is counted in an inner region is counted in the outer one, and in at most M − 1 inner ones at
    a time, so that the outer count is at least the sum of the inner ones over M − 1.

    Args:
        noised: the released panel.
        noise: on its counts.
    """
    warnings = []
    observed = noised.counts.dropna()
    for outer, inner in (noised.nested or {}).items():
        share = 1 / max(1, noise.bound.regions - 1)
        excess = observed[outer] - share * observed[list(inner)].sum(axis=1)
        deviation = noise.deviation * math.sqrt(1 + len(inner) * share**2)
        below = np.flatnonzero(excess.to_numpy() < -_SURE * deviation)
        if len(below):
            warnings.append(
                f"the noised counts contradict the declared nesting: {outer!r} is far below "
                f"{', '.join(map(repr, inner))} in {len(below)} of {len(observed)} intervals (first "
                f"{observed.index[below[0]]}), so that a person can add more than was declared and is "
                "protected less; correct source.nested"
            )
    return warnings
