"""The panel: a regular series of counts, one column per region, gaps kept as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.bound import Bound
from data.nesting import Nesting
from data.spans import to_span


@dataclass(frozen=True)
class Panel:
    """A regular multivariate count series.

    Attributes:
        counts: float64 frame, regular `DatetimeIndex` named `time` × regions; a missing interval is a
            row of NaN, never an absent row, and no row is NaN in part.
        source: the user's name for it (`paris-cdr`, a path without credentials, ...).
        public: whether the counts are published or made up, so that showing them exposes nobody.
        persons: how many people can be in it at all, where that is known without reading the counts.
        regions_per_interval: M, the regions one person can be counted in within one interval, where
            the source declares it; None if it is not declared.
        regions_ever: G, the different regions one unit can be counted in, in all of its intervals
            together, where that is declared or was enforced; None for any number.
        nested: regions that lie within others, by the outer one; whoever is counted in the inner one is
            counted in the outer one too. None if it is not declared.
        bound: what one unit can add to it, where that was enforced in counting raw events.
        noised: whether these are counts as they were released, with noise, and may be shown as such.
        timezone: IANA name of the zone whose clock the index shows; None where the source does not say.
    """

    counts: pd.DataFrame
    source: str
    public: bool = False
    persons: int | None = None
    regions_per_interval: int | None = None
    nested: Nesting | None = None
    bound: Bound | None = None
    noised: bool = False
    timezone: str | None = None
    regions_ever: int | None = None

    def __post_init__(self) -> None:
        index = self.counts.index
        if not isinstance(index, pd.DatetimeIndex) or len(index) < 2:
            raise ValueError("a panel needs a DatetimeIndex of at least two intervals")
        if len(set(np.diff(index.asi8))) != 1 or index[1] <= index[0]:
            raise ValueError("a panel needs a regular, increasing index; gaps are rows of NaN")
        missing = self.counts.isna().to_numpy()
        if (missing.any(axis=1) != missing.all(axis=1)).any():
            raise ValueError("an interval is observed in all regions or in none")

    def plot(self, regions: Sequence[str] | None = None) -> Any:
        """Draw the counts, one plot per region; the title states whether they are raw.

        Args:
            regions: names; by default the first dozen.

        Returns:
            matplotlib axes, [R].

        Raises:
            ValueError: an unknown region.
        """
        from data import plot

        privacy = plot.NOISED if self.noised else plot.RAW
        title = f"Persons per interval, {self.source}: {privacy}"
        return plot.series(self.counts, title, regions)

    def __repr__(self) -> str:
        """Return an outline without counts."""
        kind = "noised" if self.noised else "raw"
        return (
            f"Panel({self.source!r}, {kind} counts: {len(self.times)} intervals of "
            f"{self.interval} from {self.times[0]}, {len(self.regions)} regions)"
        )

    @property
    def interval(self) -> pd.Timedelta:
        """Length of one interval."""
        return pd.Timedelta(self.times[1] - self.times[0])

    @property
    def times(self) -> pd.DatetimeIndex:
        """Start of each interval, [T]."""
        return pd.DatetimeIndex(self.counts.index)

    @property
    def regions(self) -> tuple[str, ...]:
        """Names of the regions, [R]."""
        return tuple(str(name) for name in self.counts.columns)

    @property
    def values(self) -> NDArray[np.float64]:
        """Counts as an array, [T, R]; NaN where the interval is missing."""
        return self.counts.to_numpy(dtype=np.float64)

    @property
    def observed(self) -> NDArray[np.bool_]:
        """Mask of the observed intervals, [T]."""
        return ~np.isnan(self.values[:, 0])

    def steps(self, span: str | pd.Timedelta) -> int:
        """Return the number of intervals in `span` (say `7d`).

        Raises:
            ValueError: it is not a whole number of intervals.
        """
        length = to_span(span) if isinstance(span, str) else span
        count, rest = divmod(length, self.interval)
        if rest or count < 1:
            raise ValueError(f"{span} is not a whole number of intervals of {self.interval}")
        return int(count)

    def with_values(self, values: NDArray[np.float64] | NDArray[np.int64]) -> Panel:
        """Return the panel with other values, [T, R]."""
        frame = pd.DataFrame(
            values.astype(np.float64), index=self.counts.index, columns=self.counts.columns
        )
        return replace(self, counts=frame)
