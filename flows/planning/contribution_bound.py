"""`veilcast plan --events`: what a bound of K intervals, or of G regions, leaves out, and its noise."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pandas as pd

from dp.mechanisms.count_noise import calibrate
from dp.unit.contribution import ContributionBound
from dp.unit.privacy_unit import PrivacyUnit
from flows.document import Document
from flows.errors import UsageError
from flows.planning.choices import choices
from flows.planning.histograms import charged_histograms, public_histograms
from flows.planning.region_bound import region_rows
from flows.recipe.load import compose
from flows.recipe.recipe import Recipe, from_dict
from flows.settings import Home

_SHARES = (1, 3 / 4, 2 / 3, 1 / 2, 1 / 3, 1 / 4, 1 / 6, 1 / 8, 1 / 12)


def plan_each(
    source: str,
    home: Home,
    *,
    units: tuple[str, ...],
    epsilons: tuple[float, ...],
    delta: float,
    charge: float | None = None,
    intervals_per_unit: int | None = None,
    regions_per_interval: int | None = None,
    regions_ever: int | None = None,
    settings: list[str] | None = None,
) -> Document:
    """Plan every unit and budget (`plan_events`), as the document that the command prints.

    Args:
        source: of events.
        home: where the ledger is.
        units: privacy units to compare.
        epsilons: budgets to compare.
        delta: of all of them.
        charge: epsilon to spend on reading the events, once per unit; None to read nothing.
        intervals_per_unit: the one K to plan for; by default several.
        regions_per_interval: M, if it is declared.
        regions_ever: the one G to plan for; by default several, and none under a charge.
        settings: further recipe fields, `section.field=value`.

    Raises:
        UsageError: an unknown field, a unit that cannot be cut, or a K out of range.
        DataError: the events cannot be used.
        BudgetRefused: a charge would pass the account's cap.
    """
    bounds = () if intervals_per_unit is None else (intervals_per_unit,)
    plans = []
    for unit, epsilon in product(units, epsilons):
        options = {
            "source.name": source,
            "source.events": True,
            "privacy.unit": unit,
            "privacy.epsilon": epsilon,
            "privacy.delta": delta,
            "source.regions_per_interval": regions_per_interval,
            "source.regions_ever": regions_ever,
        }
        recipe = from_dict(compose(None, options, settings or []))
        plans.append(plan_events(recipe, home, charge=charge, bounds=bounds))
    return {"plans": plans}


def plan_events(
    recipe: Recipe, home: Home, *, charge: float | None = None, bounds: tuple[int, ...] = ()
) -> Document:
    """Return what each K would cut and the noise it would need, for the recipe's unit and budget.

    And what each G would cut: the recipe's own, or several. How often people are seen is read from a
    synthetic source, or from private events under a charge of epsilon `charge` (noised histograms);
    without a charge it is that of a made-up city. In how many regions they are is only paid for where
    the recipe has a G.

    Args:
        recipe: source, events and privacy.
        home: where the ledger is.
        charge: epsilon to spend on reading the events, at the recipe's delta; None to read nothing.
        bounds: values of K; by default fractions of all intervals.

    Raises:
        UsageError: a unit that cannot be cut, or a K or G out of range.
        DataError: the events cannot be used.
        BudgetRefused: the charge would pass the account's cap.
    """
    privacy = recipe.privacy
    unit = PrivacyUnit(privacy.unit)
    if unit is PrivacyUnit.USER_INTERVAL:
        raise UsageError("unit user-interval has one interval, which nothing can be cut from")
    seen = (
        public_histograms(recipe)
        if charge is None
        else charged_histograms(recipe, home, unit, charge)
    )
    slots = len(seen.intervals.columns)
    wanted = bounds or tuple(dict.fromkeys(max(1, round(slots * share)) for share in _SHARES))
    if not all(1 <= bound <= slots for bound in wanted):
        raise UsageError(f"expected K from 1 to {slots}, what unit {unit.value} has")
    rows = _rows(seen.intervals, wanted, recipe)
    regions = None if seen.regions is None else region_rows(seen.regions, recipe)
    every = 0 if seen.regions is None else len(seen.regions.units.columns)
    return {
        "source": recipe.source.name.split("://")[0],
        "unit": unit.value,
        "neighbours": unit.neighbours,
        "epsilon": privacy.epsilon,
        "delta": privacy.delta,
        "seen_from": seen.source,
        "spent": seen.spent,
        "rows": rows,
        "regions": regions,
        "choices": choices(rows, regions, recipe, slots=slots, every=every),
    }


def _rows(histogram: pd.DataFrame, bounds: tuple[int, ...], recipe: Recipe) -> list[Document]:
    privacy, regions = recipe.privacy, recipe.source.regions_per_interval or 1
    units = histogram.to_numpy().sum(axis=0).clip(min=0)  # by their number of intervals
    number = np.arange(1, len(units) + 1)
    whole = float(units @ number) or math.nan
    full = calibrate(privacy.budget, ContributionBound(len(number), regions, privacy.weight)).sigma
    rows = []
    for most in bounds:
        bound = ContributionBound(most, regions, privacy.weight)
        sigma = calibrate(privacy.budget, bound).sigma
        left_out = float(units @ np.clip(number - most, 0, None)) / whole
        rows.append(
            {
                "intervals_per_unit": most,
                "regions_per_interval": regions,
                "left_out": left_out,
                "units_cut": float(units[number > most].sum() / (units.sum() or math.nan)),
                "sensitivity": bound.sensitivity,
                "sigma": sigma,
                "sigma_ratio": sigma / full,
                # noise relative to the counts that are left, which is what affects a forecast
                "noise_to_count": sigma / full / max(1 - left_out, 1e-9),
            }
        )
    return rows
