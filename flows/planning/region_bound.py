"""`veilcast plan --events`: what a bound of G regions cuts.

How many regions people are in is read under the same rules as how often they are seen: from a made-up
city, from events that are synthetic themselves, or from noised histograms that are charged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from data.bound import check_regions_ever
from data.events.config import EventsConfig
from data.events.contribution import SeenRegions, seen_regions
from data.events.declared import declared
from data.sources import synthetic
from flows.document import Document
from flows.errors import UsageError
from flows.recipe.recipe import Recipe

_SHARES = (1, 3 / 4, 1 / 2, 1 / 3, 1 / 4, 1 / 6, 1 / 12, 1 / 25)
_CITY = 100
"""The most regions of a made-up city."""


@dataclass(frozen=True)
class RegionHistogram:
    """Units by their number of different regions, as it may be shown.

    Attributes:
        units: numbers of units, start of the unit × number of regions; made up or noised.
        exact: what they are read from, if that is public; None if they are noised.
    """

    units: pd.DataFrame
    exact: SeenRegions | None = None


def public_histogram(recipe: Recipe) -> RegionHistogram:
    """Read the histogram of a synthetic source, or else of a made-up city of as many regions.

    Raises:
        DataError: a file of places cannot be used.
    """
    source, events, unit = recipe.source.name, recipe.events, recipe.privacy.unit
    if source.partition(":")[0] != "synthetic":
        known = declared(source, events).regions
        regions = None if known is None else min(max(len(known), 2), _CITY)
        source = synthetic.named(days=28, persons=1000, interval=events.interval, regions=regions)
        events = EventsConfig(interval=events.interval)
    seen = seen_regions(source, events, unit)
    return RegionHistogram(seen.persons, seen)


def private_histogram(recipe: Recipe) -> pd.DataFrame:
    """Return the raw histogram of the recipe's own events, which is to be noised and charged.

    Raises:
        UsageError: the recipe bounds units to more regions than there are.
        DataError: regions or period are not declared, or the events cannot be used.
    """
    source = recipe.source
    seen = seen_regions(
        source.name,
        recipe.events,
        recipe.privacy.unit,
        query=source.query,
        parameters=source.parameters,
    )
    _check(len(seen.persons.columns), recipe)  # the columns are the declared regions
    return seen.persons


def region_rows(histogram: RegionHistogram, recipe: Recipe) -> list[Document]:
    """Return what each G cuts: the recipe's own, or several where it has none.

    `left_out` is the share of the pairs of interval and region in which people were seen, before M and K
    are applied; None of a noised histogram, which does not tell it.

    Raises:
        UsageError: more regions than there are.
    """
    every, source = len(histogram.units.columns), recipe.source
    _check(every, recipe)
    least = source.regions_per_interval or 1
    several = (max(least, round(every * share)) for share in _SHARES)
    chosen = (source.regions_ever,) if source.regions_ever else tuple(dict.fromkeys(several))
    units = histogram.units.to_numpy().sum(axis=0).clip(min=0)
    number = np.arange(1, every + 1)
    exact = histogram.exact
    return [
        {
            "regions_ever": most,
            "left_out": None if exact is None else exact.left_out(most),
            "units_cut": float(units[number > most].sum() / (units.sum() or np.nan)),
        }
        for most in chosen
    ]


def _check(regions: int, recipe: Recipe) -> None:
    try:
        check_regions_ever(recipe.source.regions_ever, regions=regions)
    except ValueError as error:
        raise UsageError(str(error)) from None
