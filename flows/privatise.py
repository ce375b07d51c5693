"""Between the source and everything else: the one place that sees raw counts and lets noise out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from data.panel import Panel
from dp import statement
from dp.ledger import Ledger, local_secret
from dp.mechanisms import CountNoise, calibrate
from dp.release import Release, release_counts
from dp.unit import PrivacyUnit, derive_bound
from flows.errors import UsageError
from flows.promise import Promise
from flows.recipe import PrivacyConfig
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


def privatise(panel: Panel, privacy: PrivacyConfig, home: Home) -> Privatised:
    """The panel under the mechanism that was asked for.

    Raises:
        UsageError: a declared bound does not fit the panel.
        BudgetRefused: the account's cap would be passed; nothing was drawn.
    """
    if privacy.mechanism == "none" or (
        privacy.mechanism == "gradient" and not privacy.protect_inputs
    ):
        return Privatised(inputs=panel, training=panel, promise=Promise())
    noised, promise = _noised(panel, privacy, home)
    private_training = privacy.mechanism == "gradient"
    return Privatised(
        inputs=noised, training=panel if private_training else noised, promise=promise
    )


def _noised(panel: Panel, privacy: PrivacyConfig, home: Home) -> tuple[Panel, Promise]:
    """Noised counts under a charge, with their promise."""
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
    release = _release(panel, noise, unit, privacy, ledger, home)
    spent = ledger.spent(panel.source, unit, privacy.delta)
    return replace(panel, counts=release.counts), Promise(
        statement=statement.input_perturbation(
            noise, unit, reasons=reasons, spent=spent, persons=panel.persons
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
        UsageError: it is no longer there.
    """
    path = home.releases / f"{key}.parquet"
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise UsageError(
            f"release {key[:12]} is not in {home.releases}; train again (the same request is "
            "charged again only if its release is lost)"
        ) from None


def _release(
    panel: Panel,
    noise: CountNoise,
    unit: PrivacyUnit,
    privacy: PrivacyConfig,
    ledger: Ledger,
    home: Home,
) -> Release:
    return release_counts(
        panel.counts,
        noise,
        account=panel.source,
        unit=unit,
        ledger=ledger,
        folder=home.releases,
        secret=local_secret(home.secret),
        draw=privacy.draw,
        cap=privacy.cap_epsilon,
    )
