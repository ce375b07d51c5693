"""Likelihood of identification for an attacker without all other records, in figures and words.

Data-protection law asks whether identification is "reasonably likely", in view of cost, time,
technology and purpose (recital 26 of the GDPR). The figures here are derived from what was released;
the words explain them, and are no legal opinion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scipy.special import ndtri

from dp.composition.risk import least_false_alarms
from dp.composition.total import Total
from dp.mechanisms.window_sampling import WindowSampling
from dp.unit.privacy_unit import IntervalUnit, Unit

PRIOR = 0.01
"""Chance that somebody without any other record gives to a unit's records being in the data."""
_FOUND = 0.05
"""Share of the cases there are that such an attacker is to find, at least."""
_CONFIDENCE = 0.95
_SURE = 2 * float(ndtri(_CONFIDENCE))
"""Distance, in standard deviations, at which both errors of a test are 5 %."""
_CLEARLY = 0.75
"""Right guesses of the best attacker, with even odds, above which no claim is made."""
_TIMES = 10
"""Growth of a chance, from before to after, above which no claim is made."""
_MANY = 1e6


@dataclass(frozen=True)
class Signal:
    """The noise beside what one unit contributes.

    Attributes:
        words: both in words, after "Without them, ".
        noise: standard deviation of the noise on a count, in persons; None in training.
        contribution: the most that one person adds to a count; None in training.
    """

    words: str
    noise: float | None = None
    contribution: int | None = None


def of_counts(sigma: float, weight: int) -> Signal:
    """Return the signal of noised counts."""
    return Signal(
        f"noise of {sigma:.1f} persons (standard deviation) stands on every count against {weight} that "
        "one person adds to it at most; with the noise gone there would still be a number of people, "
        "not a list of them (unless next to nobody else is counted there)",
        noise=sigma,
        contribution=weight,
    )


def of_training(sampling: WindowSampling) -> Signal:
    """Return the signal of a private training."""
    in_batch = sampling.hit * sampling.rate
    return Signal(
        f"at every update, noise of {sampling.noise_multiplier:.3g} clips (standard deviation) on "
        f"every weight's sum stands against {2 * in_batch:.2g} clips that one unit can move that sum by "
        f"on average ({sampling.hit} windows of at most 2 clips each, {100 * sampling.rate:.2g} % of "
        "them in a batch)"
    )


def identification(
    total: Total, unit: Unit, signal: Signal, *, limit: str, prior: float = PRIOR
) -> dict[str, Any]:
    """Return the figures, and their meaning for cost, time, technology and purpose, as JSON values.

    Args:
        total: everything that was released.
        unit: privacy unit.
        signal: the noise beside one unit's contribution.
        limit: what limits further releases, as a sentence.
        prior: chance, beforehand, of what the attacker would like to know.

    Raises:
        ValueError: the prior is not a chance between 0 and 1.
    """
    if not 0 < prior < 1:
        raise ValueError(f"expected prior={prior:g} to be between 0 and 1")
    best = (1 + total.delta(0.0)) / 2
    named = _right_when_named(total, prior)
    releases = _releases(2 * float(ndtri(best)))
    per_count = None
    if signal.noise is not None and signal.contribution is not None:
        per_count = _releases(signal.contribution / signal.noise)
    claim, holds = _claim(unit), best <= _CLEARLY and named <= _TIMES * prior
    return {
        "prior": prior,
        "finds_at_least": _FOUND,
        "right_when_named_at_most": _round_up(named),
        "confidence": _CONFIDENCE,
        "releases_needed_knowing_all_others": releases,
        "releases_needed_for_one_count": per_count,
        "noise_in_persons": signal.noise,
        "contribution_in_persons": signal.contribution,
        "supports": holds,
        "cost": _cost(claim, releases, per_count, limit),
        "time": "Waiting and computing do not help: the figures hold whatever the computer and however "
        "long it runs, as long as nobody breaks the generator of the noise (see the caveats). Asking "
        "for the same release again returns the same noise, so that nothing averages out.",
        "technology": "The figures hold for every method, known or yet to be found. What an attacker "
        f"lacks is not a method but all the other records. Without them, {signal.words}.",
        "purpose": _purpose(claim, prior, named),
        "text": _verdict(best, named, holds),
        "note": "An explanation of figures, not a legal opinion, and of what this statement covers "
        "alone. Whoever answers for the data judges identification in view of all releases, and of "
        "whatever else an attacker can get hold of.",
    }


def _right_when_named(total: Total, prior: float) -> float:
    """Return the largest share of right answers among the "yes" of a test that finds `_FOUND`."""
    alarms = least_false_alarms(total, _FOUND)
    return prior * _FOUND / (prior * _FOUND + (1 - prior) * alarms)


def _releases(separation: float) -> int | None:
    """Return how many independent releases bring both errors to 5 %, each worth `separation` (μ).

    The squares of Gaussians' μ add up; a training is treated as the Gaussian that reveals as much.
    """
    if separation <= 0:
        return None
    return max(1, math.ceil((_SURE / separation) ** 2))


def _cost(claim: str, releases: int | None, per_count: int | None, limit: str) -> str:
    if releases is None:
        return f"No number of such releases says whether {claim}."
    if releases == 1:
        return (
            f"Whoever knows all other records needs no more than this to say, with "
            f"{_percent(_CONFIDENCE)} confidence, whether {claim}: the noise is no obstacle. {limit}"
        )
    single = ""
    if per_count is not None:
        single = (
            f" From a single count, with everybody else in it known, it would take about "
            f"{_number(per_count)}."
        )
    return (
        f"To say with {_percent(_CONFIDENCE)} confidence whether {claim}, whoever knows all other "
        f"records would need about {_number(releases)} independent releases like this one.{single} "
        f"Each of them is charged like this one. {limit}"
    )


def _purpose(claim: str, prior: float, named: float) -> str:
    use = (
        "Most of those answers are wrong, so that they are of little use for a decision about one "
        "person."
        if named <= 0.5
        else "That is enough to act on: treat what was released as personal data."
    )
    return (
        f"Take somebody who knows no other record and gives it a chance of {_percent(prior)} "
        f"beforehand that {claim}. A rule of theirs that finds at least {_percent(_FOUND)} of such "
        f"cases is right in at most {_percent(_round_up(named))} of the cases in which it says yes. "
        f"{use}"
    )


def _verdict(best: float, named: float, holds: bool) -> str:
    even, can = ("even somebody", "is") if holds else ("somebody", "may be")
    figures = (
        f"{even} who knows all other records {can} right in up to {_percent(_round_up(best))} of their "
        f"guesses, where a coin is right in 50 %, and somebody who knows none in up to "
        f"{_percent(_round_up(named))} of the cases they point to (see purpose). In the terms of "
        "data-protection law (cost, time, technology, purpose):"
    )
    if holds:
        return (
            f"Taken alone, what was released gives little means of singling anybody out: {figures}"
        )
    return (
        "From these figures it cannot be argued that identification is not reasonably likely: "
        f"{figures}"
    )


def _claim(unit: Unit) -> str:
    if isinstance(unit, IntervalUnit):
        which = unit.protects.removeprefix("everybody in ")
        return f"the counts of {which} are one thing rather than another"
    return f"the records of {unit.protects} are in the data"


def _round_up(share: float) -> float:
    """Round up to a tenth of a percent."""
    return min(1.0, math.ceil(round(share * 1000, 9)) / 1000)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _number(count: int) -> str:
    return f"{count:,}" if count < _MANY else f"{count / _MANY:,.3g} million"
