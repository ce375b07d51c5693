"""Cost of what one unit adds to counts that share an offset.

The n counts of a group carry noise o + zᵢ, with one offset o of parameter s and independent zᵢ of
parameter σ, all discrete Gaussians on a grid of 1/g person. If a unit adds d to them, then for every
grid point m the noise (o + m, z + d − m·1) makes the same counts: what is released is post-processing
of n + 1 independent draws that move by (m, d − m·1), at a cost in squared standard deviations of

    m²/s² + ‖d − m·1‖²/σ²,

of which the smallest counts. It is below dᵀΛd, Λ = (σ²·I + s²·11ᵀ)⁻¹, by what the grid is too coarse for
the best m = Σd/(n + σ²/s²), and attained for m on the grid (docs/concepts/shared-offsets.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dp.accounting.rounding import rounded_variance

_ABOVE = 1 + 1e-12
"""Covers the rounding of the few operations of a cost."""


@dataclass(frozen=True)
class GroupCost:
    """Squared privacy loss μ² of the counts of one group, by how many of them a unit is in.

    A unit that adds between 0 and w to k counts costs no more than one that adds w to k of them: ‖d‖² is
    at most w·Σd, and with it every m costs no less than for Σd = wk.

    Attributes:
        sigma: σ, in persons.
        offset: s, in persons; 0 for independent noise.
        grid: g, steps in one person.
        cells: n, counts of the group.
        weight: w, what a unit adds to a count at most, in persons.
    """

    sigma: float
    offset: float
    grid: int
    cells: int
    weight: int = 1

    @property
    def variances(self) -> tuple[float, float]:
        """Variances of the Gaussians that are rounded: of a count and of the offset."""
        return rounded_variance(self.sigma, self.grid), rounded_variance(self.offset, self.grid)

    def of(self, ones: float) -> float:
        """Return μ² for a unit in `ones` of the counts; concave, as a minimum of straight lines."""
        if not self.offset:
            return ones * self.weight**2 / rounded_variance(self.sigma, self.grid) * _ABOVE
        count, offset = self.variances
        added = ones * self.weight
        best = min(added / self._stiffness, self.weight) * self.grid

        def line(shift: float) -> float:
            each = added * (self.weight - 2 * shift) + self.cells * shift**2
            return each / count + shift**2 / offset

        return min(line(math.floor(best) / self.grid), line(math.ceil(best) / self.grid)) * _ABOVE

    def corners(self, limit: float) -> list[float]:
        """Return where two lines meet, below `limit`: between two of them the cost is straight."""
        if not self.offset:
            return []
        apart = self._stiffness / (self.weight * self.grid)
        number = min(self.weight * self.grid, math.floor(limit / apart + 0.5))
        return [(step + 0.5) * apart for step in range(number) if (step + 0.5) * apart < limit]

    def peak(self, limit: int) -> int:
        """Return the number of counts, at most `limit`, that costs most; more would cost less."""
        if not self.offset:
            return limit
        top = self._stiffness / 2  # where the best m is w/2
        around = {min(limit, math.floor(top)), min(limit, math.ceil(top))}
        return max(around, key=self.of)

    @property
    def _stiffness(self) -> float:
        """Sum of the changes whose best shift of the offset is 1: n + σ²/s²."""
        count, offset = self.variances
        return self.cells + count / offset
