"""Sentences shared by the statements of several mechanisms."""

from __future__ import annotations

import math

from dp.budget import Budget
from dp.composition.total import Total
from dp.mechanisms.design import Noise
from dp.mechanisms.offset_noise import OffsetNoise
from dp.mechanisms.run_noise import RunNoise
from dp.statement.clock import protected
from dp.unit.contribution import ContributionBound
from dp.unit.privacy_unit import IntervalUnit, PrivacyUnit, Unit

TO_CONFIRM = (
    "to be confirmed by the data owner: whether regions are nested or overlap, so that one person is "
    "counted in several of them within an interval",
    "to be confirmed by the data owner: whether counts were extrapolated, so that one person weighs "
    "more than the bound says",
)

ENFORCED = (
    "every identifier stands for one person; a person with several identifiers is protected as "
    "several; an identifier shared by several people: removing one of them can change twice the bound",
)
"""Remaining assumptions where the contribution bound was enforced in counting raw events."""
LISTED = "what is listed as unprotected is public, or may become so"


def whom(unit: Unit, clock: str | None) -> str:
    """Describe whose records are protected, with the neighbouring relation."""
    return protected(unit, clock, beside=f"neighbours: {unit.neighbours}")


def declared(bound: ContributionBound, unit: PrivacyUnit) -> str:
    """Describe a bound that is declared and not enforced, in plain words."""
    return (
        "the contribution bound holds; it is declared, not measured on these counts. In plain words: "
        f"{unit.protects} is counted in at most {_some(bound.intervals, 'interval')}, in at most "
        f"{_some(bound.regions, 'region')} at a time, and adds at most {bound.weight} to a count. What "
        "does not follow from the calendar is the operator's word, and whoever is counted more often is "
        "protected less"
    )


def two_units(noise: Noise, unit: PrivacyUnit) -> tuple[float, float] | None:
    """Return epsilon and delta for two adjacent units together, where a unit is a day or a week."""
    if unit.span is None:
        return None
    if isinstance(noise, OffsetNoise):
        event = {**noise.event(), "groups": 2}
    elif isinstance(noise, RunNoise):
        event = {**noise.event(), "units": 2}
    else:
        event = {**noise.event(), "intervals": 2 * noise.bound.intervals}
    return Total().plus(event).epsilon(noise.budget.delta), noise.budget.delta


def noise(made: Noise) -> tuple[str, str]:
    """Describe the noise: as a kind, and with its standard deviation after "by"."""
    deviation = f"of standard deviation {made.deviation:.1f} persons on every count"
    if isinstance(made, RunNoise):
        return (
            "discrete Gaussian on every observed count less its share of those before it, sampled "
            f"exactly in steps of 1/{made.grid} person, and put back together",
            f"discrete Gaussian noise, correlated in time, {deviation}",
        )
    if not isinstance(made, OffsetNoise):
        return (
            "discrete Gaussian on every observed count, sampled exactly",
            f"discrete Gaussian noise {deviation}",
        )
    shared = f"shared by all counts of a region {_AMONG[made.per]}"
    return (
        f"discrete Gaussian on every observed count, and one offset {shared}; both sampled exactly "
        f"in steps of 1/{made.grid} person",
        f"discrete Gaussian noise {deviation}, of which {made.offset:.1f} is an offset {shared}",
    )


def correlated(made: Noise, unit: PrivacyUnit, *, kept: bool = False) -> list[str]:
    """Explain what correlated noise means for whoever uses the counts, and for other units.

    Args:
        made: the noise.
        unit: privacy unit.
        kept: whether offsets are kept while their group goes on, as those of streams are.
    """
    if isinstance(made, RunNoise):
        return _in_runs(made)
    if not isinstance(made, OffsetNoise):
        return []
    day = min(48, made.cells)
    among = "while its budget lasts" if kept and made.per is PrivacyUnit.USER else _AMONG[made.per]
    return [
        f"the noise of a region's counts {among} is correlated: {made.sigma:.1f} persons are drawn for "
        f"each count, {made.offset:.1f} once for all of them. The mean of {day} counts is off by "
        f"{made.deviation_of_mean(day):.1f} persons (standard deviation), that of {made.cells:,} by "
        f"{made.deviation_of_mean(made.cells):.1f}; differences between them are free of the offset",
        *(_kept(made, unit, among) if kept else [_NOT_KEPT]),
        "units shorter than the one protected pay more than they would under independent noise; the "
        "ledger charges them for it",
    ]


def _in_runs(made: RunNoise) -> list[str]:
    """Explain noise on runs: neighbouring counts share some of it, and levels have more."""
    first, last = made.deviations
    day = min(48, made.cells)
    independent = made.deviation / math.sqrt(day)
    return [
        f"the noise of neighbouring counts of a region is correlated: of {last:.1f} persons on a count, "
        f"{made.sigma:.1f} are drawn for it and the others go on from the {len(made.taps) - 1} counts "
        f"before it and theirs. The first count has {first:.1f}, which grows to {last:.1f} within a few",
        "means of many counts are less exact than independent noise of this size would make them: the "
        f"mean of {day} counts is off by {made.deviation_of_mean(day):.1f} persons (standard "
        f"deviation), and not by {independent:.1f}. Differences between neighbouring counts are more "
        "exact",
        "units shorter than the one protected are charged for whole runs, and single intervals for all "
        "that cutting runs couples with them",
    ]


def leaked_epsilon(made: OffsetNoise) -> float:
    """Return epsilon at the budget's delta for whoever knows all offsets: σ of single counts is left."""
    return Total().plus({**made.event(), "apart": True}).epsilon(made.budget.delta)


_NOT_KEPT = (
    "somebody who learns an offset has counts with the smaller noise: offsets are as secret as the "
    "counts, and are not kept"
)


def _kept(made: OffsetNoise, unit: PrivacyUnit, among: str) -> list[str]:
    return [
        f"one unit is charged for all counts {among} when the first of them is released; those that "
        "come later cost nothing more. What is released may change what people do, and so the counts, "
        "but whether and when the protected records are in them is taken not to depend on it",
        "offsets live as long as that. The ledger's database keeps 32 random bytes, from which they "
        "follow together with the installation's secret (var/secret), and destroys them with the last "
        "count, or when the first later one is released; copies of the database are not reached",
        f"whoever has both meanwhile knows the offsets and is left with the noise of single counts: "
        f"epsilon {leaked_epsilon(made):.3g} instead of {made.epsilon:.3g}, at delta "
        f"{made.budget.delta:g} ({_terms(unit)})",
    ]


_AMONG = {
    PrivacyUnit.USER: "in the whole panel",
    PrivacyUnit.USER_WEEK: "within one calendar week",
    PrivacyUnit.USER_DAY: "within one calendar day",
}


def other_releases(unit: Unit, spent: float, delta: float, cap: Budget | None) -> str:
    """Describe what was spent on the data set, and what may still be added."""
    return (
        f"Spent on this data set so far, for the most affected unit: epsilon {spent:.4g} at delta "
        f"{delta:g} ({_terms(unit)}). Every other release of the same data set, before or after, adds "
        f"to it. {limit(unit, cap)}"
    )


def limit(unit: Unit, cap: Budget | None) -> str:
    """Describe what limits further releases of the data set."""
    if cap is None:
        return "The account has no cap, so that nothing but its owner limits the total."
    return (
        f"A cap of epsilon {cap.epsilon:.4g} at delta {cap.delta:g} ({_terms(unit)}) bounds all of "
        "them together: a release that would pass it is refused."
    )


def _terms(unit: Unit) -> str:
    return f"unit {unit.value}, neighbours: {unit.neighbours}"


def guess(unit: Unit) -> str:
    """Describe what an attacker who knows all other records guesses."""
    if isinstance(unit, IntervalUnit):
        which = unit.protects.removeprefix("everybody in ")
        return f"whether the counts of {which} are one thing or another"
    return f"whether the records of {unit.protects} are in the data"


def other_intervals(unit: IntervalUnit) -> list[str]:
    """List what a guarantee for intervals does not cover."""
    longer = "several intervals" if unit.width == 1 else f"more than {unit.width} intervals"
    return [
        f"whatever is spread over {longer}, such as a person's day: the guarantee weakens as they "
        "add up"
    ]


def wider_units(unit: PrivacyUnit) -> list[str]:
    """List what a guarantee for part of a person's records does not cover."""
    if unit is PrivacyUnit.USER:
        return []
    return [
        "the records of a person in several units together: the guarantee weakens as they add up"
    ]


def warnings(delta: float, persons: int | None) -> list[str]:
    """List warnings about the budget."""
    if persons is None or delta < 1 / persons:
        return []
    return [
        f"delta {delta:g} is not below 1/{persons} persons: publishing one person outright would be "
        "allowed; choose a smaller delta"
    ]


def _some(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
