"""Between the source and everything else: the one place that sees raw counts and lets noise out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from data.bound import Bound
from data.nesting import Nesting, parents_of
from data.panel import Panel
from data.sources.credentials import shown
from data.sources.identity import identities
from dp import statement
from dp.composition.total import Total
from dp.ledger import Charge, Entry, Ledger, local_secret
from dp.mechanisms.count_noise import calibrate
from dp.mechanisms.design import Noise
from dp.mechanisms.offset_noise import OffsetNoise
from dp.release.panel import charge_for_counts, design, panel_of, release_counts
from dp.unit.contribution import ContributionBound, derive_bound, enforced_bound
from dp.unit.contribution_set import ContributionSet
from dp.unit.privacy_unit import PrivacyUnit
from flows.document import Document
from flows.errors import UsageError
from flows.pipeline.contradictions import contradictions
from flows.pipeline.guarantee import Guarantee
from flows.recipe.recipe import Recipe
from flows.settings import Home


@dataclass(frozen=True)
class Privatised:
    """Counts as they may be used under the promise that goes with them.

    Attributes:
        inputs: what forecasts are made from, gaps still in sight: noised counts, or raw ones under
            `none` and, unless inputs are protected, under `gradient`.
        training: what is trained on; raw counts under `gradient`, which the training protects.
        guarantee: for the counts; a training under `gradient` adds its own.
    """

    inputs: Panel
    training: Panel
    guarantee: Guarantee


@dataclass(frozen=True)
class Noised:
    """The origin of noised counts.

    Attributes:
        noise: the mechanism.
        unit: whom the promise is about.
        reasons: why the contribution bound is what it is.
        entry: of the charge.
        warnings: what the noised counts contradict, before small ones were suppressed.
    """

    noise: Noise
    unit: PrivacyUnit
    reasons: tuple[str, ...]
    entry: Entry
    warnings: tuple[str, ...] = ()


def privatise(panel: Panel, recipe: Recipe, home: Home, *, again: bool = True) -> Privatised:
    """The panel under the mechanism that was asked for.

    Args:
        panel: raw.
        recipe: what was asked for.
        home: where ledger and releases are.
        again: whether a release that was charged before and lost may be paid for once more.

    Raises:
        UsageError: a declared bound does not fit the panel.
        BudgetRefused: the account's cap would be passed; nothing was drawn.
        ReleaseLostError: it was lost, and is not to be paid for again; nothing was charged.
    """
    privacy = recipe.privacy
    if privacy.mechanism == "none" or (
        privacy.mechanism == "gradient" and not privacy.protect_inputs
    ):
        return Privatised(inputs=panel, training=panel, guarantee=Guarantee())
    counts, made = noised(panel, recipe, home, again=again)
    private_training = privacy.mechanism == "gradient"
    return Privatised(
        inputs=counts,
        training=panel if private_training else counts,
        guarantee=_promise(panel, made, recipe, home),
    )


def noised(panel: Panel, recipe: Recipe, home: Home, *, again: bool = True) -> tuple[Panel, Noised]:
    """Noised counts under a charge, and how they came about; raises like `privatise`."""
    noise, unit, reasons = _as_released(panel, recipe, home)
    release = release_counts(
        panel.counts,
        noise,
        ledger=Ledger(home.database_url),
        cap=recipe.privacy.cap,
        again=again,
        **_about(panel, recipe, home, unit, reasons),
    )
    released = replace(panel, counts=release.counts, noised=True)
    warnings = tuple(contradictions(released, noise))
    counts = replace(released, counts=suppressed(release.counts, recipe))
    return counts, Noised(noise, unit, reasons, release.entry, warnings)


def suppressed(noised: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """Noised counts without the small ones (`privacy.suppress_below`): post-processing, for free."""
    least = recipe.privacy.suppress_below
    return noised if least is None else noised.mask(noised < least, 0.0)


def charge(panel: Panel, recipe: Recipe, home: Home) -> Charge:
    """Work out what `noised` would cost; write and draw nothing.

    Raises:
        UsageError: a declared bound does not fit the panel.
    """
    noise, unit, reasons = _as_released(panel, recipe, home)
    return charge_for_counts(panel.counts, noise, **_about(panel, recipe, home, unit, reasons))


def _as_released(
    panel: Panel, recipe: Recipe, home: Home
) -> tuple[Noise, PrivacyUnit, tuple[str, ...]]:
    """The mechanism of a panel, or the one that an earlier version released the same request under.

    Before noise could be chosen it was independent. Such a release was paid for and is returned; noise
    of another design would be a second one.
    """
    noise, unit, reasons = mechanism(panel, recipe)
    if isinstance(noise, OffsetNoise):
        before = calibrate(noise.budget, noise.bound)
        about = _about(panel, recipe, home, unit, reasons)
        entry = Ledger(home.database_url).find(charge_for_counts(panel.counts, before, **about).key)
        if entry and entry.state == "released" and "noise" not in entry.recipe.get("privacy", {}):
            return before, unit, reasons
    return noise, unit, reasons


def mechanism(panel: Panel, recipe: Recipe) -> tuple[Noise, PrivacyUnit, tuple[str, ...]]:
    """The noise of a panel, whom it protects, and why a unit can add no more; no count is read.

    Raises:
        UsageError: a declared bound does not fit the panel.
    """
    privacy = recipe.privacy
    unit = PrivacyUnit(privacy.unit)
    try:
        contribution, reasons = contribution_of(panel, recipe)
        if privacy.noise == "independent":
            return calibrate(privacy.budget_of_part, contribution.bound), unit, reasons
        noise = design(
            privacy.budget_of_part,
            contribution,
            unit=unit,
            observed=panel.observed,
            times=panel.times,
            interval=panel.interval.to_pytimedelta(),
            runs_per_day=None if panel.bound is None else panel.bound.runs_per_day,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    return noise, unit, reasons


def contribution_of(panel: Panel, recipe: Recipe) -> tuple[ContributionSet, tuple[str, ...]]:
    """Return what one unit can add to a panel, and why it can add no more; no count is read.

    Raises:
        ValueError: a declared bound does not fit the panel.
    """
    privacy, unit = recipe.privacy, PrivacyUnit(recipe.privacy.unit)
    if panel.bound is not None:
        bound, reasons = enforced(panel.bound, unit)
    else:
        bound, reasons = derive_bound(
            unit,
            observed=int(panel.observed.sum()),
            interval=panel.interval.to_pytimedelta(),
            regions=len(panel.regions),
            regions_per_interval=panel.regions_per_interval or panel.regions_ever,
            intervals_per_unit=privacy.intervals_per_unit,
            weight=privacy.weight,
            start=panel.times[0].to_pydatetime(),
        )
    parents = parents_of(panel.nested, panel.regions)
    ever = panel.regions_ever if panel.bound is None else panel.bound.regions_ever
    contribution = ContributionSet(bound, len(panel.regions), ever or 0, parents)
    further = further_reasons(panel.nested, contribution, enforced=panel.bound is not None)
    return contribution, (*reasons, *further)


def further_reasons(
    nested: Nesting | None, contribution: ContributionSet, *, enforced: bool
) -> list[str]:
    """Return the reasons for what is known beyond K, M and w_max."""
    word = "enforced when counting" if enforced else "the operator's word"
    reasons = []
    if contribution.ever < contribution.regions:
        reasons.append(f"G = {contribution.ever} different regions in all intervals: {word}")
    for outer, inner in (nested or {}).items():
        reasons.append(f"{outer!r} contains {', '.join(map(repr, inner))}: {word}")
    return reasons


def enforced(bound: Bound, unit: PrivacyUnit) -> tuple[ContributionBound, tuple[str, ...]]:
    """The bound that events were counted under, as the noise takes it: the very same numbers."""
    if bound.unit != unit.value:
        raise UsageError(
            f"events were counted for unit {bound.unit}, the promise is for {unit.value}"
        )
    return enforced_bound(
        intervals=bound.intervals,
        slots=bound.slots,
        regions=bound.regions,
        weight=bound.weight,
        runs_per_day=bound.runs_per_day,
    )


def _about(
    panel: Panel, recipe: Recipe, home: Home, unit: PrivacyUnit, reasons: tuple[str, ...]
) -> Document:
    """Return what the ledger keeps beside the mechanism."""
    privacy, source = recipe.privacy, recipe.source
    return {
        "dataset": source.account or panel.source,
        "unit": unit,
        "secret": local_secret(home.secret),
        "draw": privacy.draw,
        "purpose": "forecast inputs" if privacy.mechanism == "gradient" else "panel",
        "bound": reasons,
        "population": source.population,
        "recipe": recipe.to_dict(),
        "aliases": aliases(recipe),
        "timezone": panel.timezone,
        "intervals_per_unit": privacy.intervals_per_unit,
        "regions_ever": panel.regions_ever,
        "runs_per_day": None if panel.bound is None else panel.bound.runs_per_day,
        "enforced": panel.bound is not None,
    }


def aliases(recipe: Recipe) -> tuple[str, ...]:
    """Further names of the recipe's data set, by which the ledger knows it whatever it is called.

    A table of which somebody made a stream may be on record under the stream's name, which is the URL
    without its dialect.
    """
    source = recipe.source
    names = identities(source.name, source.query)
    if "://" not in source.name:
        return names
    return (*names, shown(source.name).rpartition("://")[2])


def _promise(panel: Panel, made: Noised, recipe: Recipe, home: Home) -> Guarantee:
    """Return what may be claimed for noised counts."""
    noise, entry = made.noise, made.entry
    ledger = Ledger(home.database_url)
    promise = statement.input_perturbation(
        noise,
        made.unit,
        reasons=made.reasons,
        spent=ledger.spent(entry.dataset, made.unit, recipe.privacy.delta),
        persons=panel.persons,
        enforced=panel.bound is not None,
        total=Total().plus(entry.event),
        clock=panel.timezone,
        cap=ledger.account(entry.dataset, made.unit).cap,
    )
    return Guarantee(
        statement={**promise, "warnings": [*promise["warnings"], *made.warnings]},
        unit=made.unit.value,
        neighbours=made.unit.neighbours,
        epsilon=float(noise.epsilon),
        delta=noise.budget.delta,
        sensitivity=noise.bound.sensitivity,
        sigma=noise.deviation,
        sigma_unshared=noise.sigma,
        ledger_entry=entry.id,
        release=entry.key,
    )


def kept_release(key: str, home: Home) -> pd.DataFrame:
    """The noised counts of an earlier release, [T, R].

    Raises:
        LedgerError: it is not in the ledger.
    """
    return panel_of(Ledger(home.database_url).released(key))
