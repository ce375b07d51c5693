"""Run sets: which counts a unit can be in that is seen in few runs of consecutive intervals."""

from __future__ import annotations

from dataclasses import dataclass

from dp.unit.contribution import ContributionBound


@dataclass(frozen=True)
class RunSet:
    """All that one privacy unit can add that is counted in few runs of consecutive intervals.

    A run is a stretch of consecutive intervals in one region. A unit adds exactly 1 to every count of
    its runs, and nothing elsewhere: half a run is another run, so that weights, which may be 0 in its
    midst, and several regions at a time have no place here.

    Attributes:
        bound: K intervals in all, M = 1 and w_max = 1.
        regions: R, regions of the panel.
        runs: n, runs of one unit in all of its time.

    Example:
        >>> unit = RunSet(ContributionBound(intervals=96, regions=1), regions=6, runs=4)
        >>> unit.lengths
        (24, 24, 24, 24)
    """

    bound: ContributionBound
    regions: int
    runs: int

    def __post_init__(self) -> None:
        if self.bound.regions != 1 or self.bound.weight != 1:
            raise ValueError(
                "runs are for persons who are in one region at a time and count once; leave out "
                "source.runs_per_day, or M and w_max"
            )
        if self.regions < 1:
            raise ValueError(f"expected regions={self.regions} to be at least 1")
        if self.runs < 1 or self.runs != int(self.runs):
            raise ValueError(f"expected runs={self.runs} to be a whole number of at least 1")

    @property
    def lengths(self) -> tuple[int, ...]:
        """Lengths of runs that are as equal as can be, in intervals."""
        number = min(self.runs, self.bound.intervals)
        each, more = divmod(self.bound.intervals, number)
        return (each + 1,) * more + (each,) * (number - more)
