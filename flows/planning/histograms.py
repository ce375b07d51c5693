"""How often people are seen, and in how many regions: from public events, or under a charge."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from data.events.config import EventsConfig
from data.events.contribution import seen_intervals
from data.sources import synthetic
from dp.budget import Budget
from dp.ledger import Ledger, local_secret
from dp.mechanisms.count_noise import calibrate
from dp.release.panel import release_counts
from dp.unit.contribution import ContributionBound
from dp.unit.privacy_unit import PrivacyUnit
from flows.errors import UsageError
from flows.pipeline.privatise import aliases
from flows.planning.region_bound import RegionHistogram, private_histogram, public_histogram
from flows.recipe.recipe import Recipe
from flows.settings import Home

_MOVED = 2
"""Cells of a unit's row that its change moves: from one number of intervals to another."""
_REGIONS = "regions: "


@dataclass(frozen=True)
class Histograms:
    """How often people are seen, and on which terms it is known.

    Attributes:
        intervals: units by their number of intervals.
        regions: units by their number of regions; None if they were not paid for.
        source: what was looked at.
        spent: on looking at it.
    """

    intervals: pd.DataFrame
    regions: RegionHistogram | None
    source: str
    spent: str


def public_histograms(recipe: Recipe) -> Histograms:
    """Read the histograms of a synthetic source, or else of a made-up city.

    Raises:
        DataError: the events cannot be used.
    """
    source, events = recipe.source.name, recipe.events
    regions, spent = public_histogram(recipe), "nothing: no private event was read"
    if source.partition(":")[0] == "synthetic":
        sightings = seen_intervals(source, events, recipe.privacy.unit)
        return Histograms(sightings.persons, regions, "the synthetic events themselves", spent)
    city = synthetic.named(days=28, persons=1000, interval=events.interval)
    sightings = seen_intervals(city, EventsConfig(interval=events.interval), recipe.privacy.unit)
    where = "a synthetic city, not these events; --charge EPSILON looks at them under a charge"
    return Histograms(sightings.persons, regions, where, spent)


def charged_histograms(recipe: Recipe, home: Home, unit: PrivacyUnit, epsilon: float) -> Histograms:
    """Release noised histograms of the private events, one per day or week.

    That of regions makes the noise larger by √2, so that it is only there where a G is asked for.

    Args:
        recipe: source, events and privacy.
        home: where the ledger is.
        unit: a day or a week.
        epsilon: to spend, at the recipe's delta.

    Raises:
        UsageError: unit `user`, fewer than two days or weeks, or a G that does not fit.
        DataError: the events cannot be used.
        BudgetRefused: the charge would pass the account's cap.
    """
    source, privacy = recipe.source, recipe.privacy
    if unit.span is None:
        raise UsageError(
            "unit user has one number of intervals for each person, a histogram too thin to noise; "
            "look at --unit user-day or user-week"
        )
    sightings = seen_intervals(
        source.name, recipe.events, unit.value, query=source.query, parameters=source.parameters
    )
    rows = len(sightings.persons)
    if rows < 2:
        raise UsageError(f"the events span {rows} {unit.value[5:]}; expected at least two")
    histogram, moved = sightings.persons, _MOVED
    if source.regions_ever is not None:
        of_regions = private_histogram(recipe).add_prefix(_REGIONS)
        histogram, moved = pd.concat([histogram, of_regions], axis=1), 2 * _MOVED
    noise = calibrate(Budget(epsilon, privacy.delta), ContributionBound(1, moved, 1))
    release = release_counts(
        histogram,
        noise,
        ledger=Ledger(home.database_url),
        cap=privacy.cap,
        dataset=source.account or sightings.source,
        unit=unit,
        secret=local_secret(home.secret),
        draw=privacy.draw,
        purpose="statistic",
        bound=(f"one unit is in one row and moves {moved} of its cells by 1",),
        population=source.population,
        recipe=recipe.to_dict(),
        aliases=aliases(recipe),
        timezone=sightings.timezone,
    )
    spent = (
        f"epsilon {noise.epsilon:.4g} at delta {privacy.delta:g} for {unit.value} (neighbours: "
        f"{unit.neighbours}), ledger entry {release.entry.id}"
    )
    noised, slots = release.counts, len(sightings.persons.columns)
    paid = noised.iloc[:, slots:]
    return Histograms(
        noised.iloc[:, :slots],
        RegionHistogram(paid) if len(paid.columns) else None,
        "noised histograms of these events",
        spent,
    )
