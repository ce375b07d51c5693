"""Contribution sets: which counts of a panel the records of one privacy unit can be in together."""

from __future__ import annotations

from dataclasses import dataclass

from dp.unit.contribution import ContributionBound

ROOT = -1
"""Parent of a region that lies in no other."""
_DEEPEST = 50
"""Most regions within each other: no map has as many, and searches go down step by step."""


@dataclass(frozen=True)
class ContributionSet:
    """All that the records of one privacy unit can add to a panel of counts.

    A unit is counted in at most K intervals, in at most M regions of each, and adds 0 to w_max to each
    of these counts (`bound`). It may further be known that it is only ever counted in a few different
    regions, or that regions lie within others, so that whoever is counted in the inner one is counted
    in the outer one in the same interval.

    Attributes:
        bound: K, M and w_max.
        regions: R, regions of the panel.
        ever: G, the most different regions that one unit is ever counted in; R if nothing is known.
        parents: position of the region that each region lies in, or `ROOT`; () if none is nested.

    Example:
        >>> bound = ContributionBound(intervals=48, regions=2)
        >>> ContributionSet(bound, regions=3, parents=(-1, 0, 0)).around(2)
        (2, 0)
    """

    bound: ContributionBound
    regions: int
    ever: int = 0
    parents: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.regions < self.bound.regions:
            raise ValueError(
                f"expected M={self.bound.regions} ≤ {self.regions}, the regions of the panel"
            )
        if not self.ever:
            object.__setattr__(self, "ever", self.regions)
        if not self.bound.regions <= self.ever <= self.regions:
            raise ValueError(
                f"expected the different regions of one unit, G={self.ever}, to be from "
                f"M={self.bound.regions} to {self.regions}, the regions of the panel"
            )
        if self.parents and len(self.parents) != self.regions:
            raise ValueError(f"expected {self.regions} parents, got {len(self.parents)}")
        if all(parent == ROOT for parent in self.parents):
            object.__setattr__(self, "parents", ())
        deepest = max((len(self.around(region)) for region in range(len(self.parents))), default=0)
        if deepest > _DEEPEST:
            raise ValueError(
                f"regions are nested {deepest} deep; expected at most {_DEEPEST}: leave out those in "
                "between"
            )
        if deepest > self.bound.regions:
            raise ValueError(
                f"regions are nested {deepest} deep, so that a person can count in {deepest} regions "
                f"within one interval; M={self.bound.regions} is too small"
            )

    def around(self, region: int) -> tuple[int, ...]:
        """Return a region and the regions that it lies in, from the inside out.

        Raises:
            ValueError: a region lies within itself, or in one that does not exist.
        """
        chain = [region]
        while self.parents and self.parents[chain[-1]] != ROOT:
            parent = self.parents[chain[-1]]
            if parent in chain:
                raise ValueError(f"region {parent} lies within itself")
            if not 0 <= parent < self.regions:
                raise ValueError(f"expected a region from 0 to {self.regions - 1}, got {parent}")
            chain.append(parent)
        return tuple(chain)
