"""Between the source and everything else: the one place that sees raw counts and lets noise out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from data.panel import Panel
from dp import statement
from dp.composition import Total
from dp.ledger import Ledger, local_secret
from dp.mechanisms import calibrate
from dp.release import panel_of, release_counts
from dp.unit import PrivacyUnit, derive_bound
from flows.errors import UsageError
from flows.promise import Promise
from flows.recipe import Recipe
from flows.settings import Home


@dataclass(frozen=True)
class Privatised:
    """Counts as they may be used under the promise that goes with them.

    Attributes:
        inputs: what forecasts are made from, gaps still in sight: noised counts, or raw ones under
            `none` and, unless inputs are protected, under `gradient`.
        training: what is trained on; raw counts under `gradient`, which the training protects.
        promise: for the counts; a training under `gradient` adds its own.
    """

    inputs: Panel
    training: Panel
    promise: Promise


def privatise(panel: Panel, recipe: Recipe, home: Home) -> Privatised:
    """The panel under the mechanism that was asked for.

    Raises:
        UsageError: a declared bound does not fit the panel.
        BudgetRefused: the account's cap would be passed; nothing was drawn.
    """
    privacy = recipe.privacy
    if privacy.mechanism == "none" or (
        privacy.mechanism == "gradient" and not privacy.protect_inputs
    ):
        return Privatised(inputs=panel, training=panel, promise=Promise())
    noised, promise = _noised(panel, recipe, home)
    private_training = privacy.mechanism == "gradient"
    return Privatised(
        inputs=noised, training=panel if private_training else noised, promise=promise
    )


def _noised(panel: Panel, recipe: Recipe, home: Home) -> tuple[Panel, Promise]:
    """Noised counts under a charge, with their promise."""
    privacy = recipe.privacy
    unit = PrivacyUnit(privacy.unit)
    try:
        bound, reasons = derive_bound(
            unit,
            observed=int(panel.observed.sum()),
            interval=panel.interval.to_pytimedelta(),
            regions=len(panel.regions),
            regions_per_interval=panel.regions_per_interval,
            intervals_per_unit=privacy.intervals_per_unit,
            weight=privacy.weight,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    budget = privacy.budget_of_part
    noise = calibrate(budget, bound)
    ledger = Ledger(home.database_url)
    release = release_counts(
        panel.counts,
        noise,
        dataset=recipe.source.account or panel.source,
        unit=unit,
        ledger=ledger,
        secret=local_secret(home.secret),
        draw=privacy.draw,
        cap=privacy.cap,
        purpose="forecast inputs" if privacy.mechanism == "gradient" else "panel",
        bound=reasons,
        population=recipe.source.population,
        recipe=recipe.to_dict(),
    )
    spent = ledger.spent(release.entry.dataset, unit, privacy.delta)
    return replace(panel, counts=release.counts), Promise(
        statement=statement.input_perturbation(
            noise,
            unit,
            reasons=reasons,
            spent=spent,
            persons=panel.persons,
            total=Total().plus(release.entry.event),
        ),
        unit=unit.value,
        neighbours=unit.neighbours,
        epsilon=float(noise.epsilon),
        delta=budget.delta,
        sensitivity=bound.sensitivity,
        sigma=noise.sigma,
        ledger_entry=release.entry.id,
        release=release.entry.key,
    )


def kept_release(key: str, home: Home) -> pd.DataFrame:
    """The noised counts of an earlier release, [T, R].

    Raises:
        LedgerError: it is not in the ledger.
    """
    return panel_of(Ledger(home.database_url).released(key))
