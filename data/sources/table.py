"""The result of a reader: counts in wide form, not validated yet."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from data.bound import Bound
from data.nesting import Nesting


@dataclass(frozen=True)
class Table:
    """Counts as read, one column per region.

    Attributes:
        frame: first column `time` (datetime64 where it could be parsed, text otherwise), then one
            column per region with unchecked cells.
        name: the source as typed, without credentials.
        public: whether the counts are published or made up, so that showing them exposes nobody.
        persons: how many people can be in the data, where declared.
        regions_per_interval: M, the regions that may count one person in one interval, where declared.
        regions_ever: G, the regions that may count one unit in all of its intervals, where declared or
            enforced.
        nested: regions that lie within others, where declared.
        bound: what one unit can add to the counts, where that was enforced in counting raw events.
        timezone: IANA name of the zone whose clock `time` shows; None where the source does not say.
    """

    frame: pd.DataFrame
    name: str
    public: bool = False
    persons: int | None = None
    regions_per_interval: int | None = None
    nested: Nesting | None = None
    bound: Bound | None = None
    timezone: str | None = None
    regions_ever: int | None = None
