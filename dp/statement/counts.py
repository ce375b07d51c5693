"""Statements of runs on counts: noised, streamed or raw."""

from __future__ import annotations

from typing import Any

from dp.budget import Budget
from dp.composition.risk import risk
from dp.composition.total import Total
from dp.mechanisms.design import Noise
from dp.statement import caveats, disclosed, wording
from dp.statement import identification as likelihood
from dp.statement.clock import protected, time_zone
from dp.statement.code_version import code_version
from dp.unit.privacy_unit import NEIGHBOURS, PrivacyUnit


def no_privacy() -> dict[str, Any]:
    """Return the statement of a run without a mechanism."""
    return {
        "mechanism": "none",
        "text": "No privacy guarantee: the model was trained on raw counts, and its weights, "
        "forecasts and errors may expose single persons.",
        **_without_promise(),
    }


def input_perturbation(
    noise: Noise,
    unit: PrivacyUnit,
    *,
    reasons: tuple[str, ...],
    spent: float,
    persons: int | None,
    total: Total,
    enforced: bool = False,
    clock: str | None = None,
    cap: Budget | None = None,
) -> dict[str, Any]:
    """Return the statement of a run on a noised panel.

    Args:
        noise: the mechanism that made the panel.
        unit: privacy unit.
        reasons: why the contribution bound is what it is.
        spent: epsilon of everything charged to the data set for this unit so far, same delta.
        persons: how many people may be in the data, if known.
        total: everything that this run released.
        enforced: whether the contribution bound was enforced in counting raw events.
        clock: IANA name of the zone that days and weeks are counted in; None if it is not declared.
        cap: of the account; None if it has none.
    """
    delta = noise.budget.delta
    kind, by = wording.noise(noise)
    return {
        "mechanism": "input",
        "unit": unit.value,
        "protects": protected(unit, clock),
        "neighbours": NEIGHBOURS,
        "epsilon": noise.epsilon,
        "delta": delta,
        "epsilon_spent_on_data_set": spent,
        "noise": kind,
        "sigma": noise.deviation,
        "sigma_unshared": noise.sigma,
        "mu": total.mu_of_counts,
        "correlation": wording.correlated(noise, unit),
        "sensitivity": noise.bound.sensitivity,
        "bound": list(reasons),
        "assumptions": [
            "the contribution bound holds: it was enforced when the events were counted"
            if enforced
            else wording.declared(noise.bound, unit),
            wording.LISTED,
            "the whole panel was noised once; everything after it (repair, scaling, training, early "
            "stopping, forecasts) saw noised counts only and costs nothing more",
            *(wording.ENFORCED if enforced else wording.TO_CONFIRM),
        ],
        "not_covered": [
            "errors that were computed against raw counts: evaluated on raw data, not a private "
            "release",
            *wording.wider_units(unit),
        ],
        "warnings": wording.warnings(delta, persons),
        "text": f"({noise.epsilon:.4g}, {delta:g})-differential privacy for "
        f"{wording.whom(unit, clock)}, by {by}.",
        "time_zone": time_zone(unit, clock, both=wording.two_units(noise, unit)),
        "unprotected": disclosed.of_counts(noise.bound, raw_errors=True),
        "other_releases": wording.other_releases(unit, spent, delta, cap),
        "identification": likelihood.identification(
            total,
            unit,
            likelihood.of_counts(noise.deviation, noise.bound.weight),
            limit=wording.limit(unit, cap),
        ),
        "caveats": caveats.of_counts(),
        "version": code_version(caveats.COUNT_LIBRARIES),
        **risk(total, what=wording.guess(unit)),
    }


def stream(
    noise: Noise,
    unit: PrivacyUnit,
    *,
    reasons: tuple[str, ...],
    spent: float,
    persons: int | None,
    total: Total,
    clock: str | None = None,
    cap: Budget | None = None,
) -> dict[str, Any]:
    """Return the statement of a stream of counts; arguments as of `input_perturbation`.

    Epsilon is what the stream alone may ever spend on one unit, or what was spent on the data set if
    that is more.

    Args:
        noise: the mechanism, calibrated for everything that one unit can be counted in.
        unit: privacy unit.
        reasons: why the contribution bound is what it is.
        spent: epsilon of everything charged to the data set for this unit so far, same delta.
        persons: how many people may be in the data, if known.
        total: everything charged to the most affected unit so far.
        clock: IANA name of the zone that days and weeks are counted in; None if it is not declared.
        cap: of the account; None if it has none.
    """
    statement = input_perturbation(
        noise,
        unit,
        reasons=reasons,
        spent=spent,
        persons=persons,
        total=total,
        clock=clock,
        cap=cap,
    )
    delta = noise.budget.delta
    statement["assumptions"][2] = (
        "every interval was noised once, when it came, and is never noised again; everything after "
        "that (repair, scaling, training, promotion, forecasts) saw noised counts only"
    )
    # no errors were computed against raw counts
    statement["not_covered"] = statement["not_covered"][1:]
    return {
        **statement,
        "correlation": wording.correlated(noise, unit, kept=True),
        "epsilon": max(noise.epsilon, spent),
        "epsilon_of_stream_alone": noise.epsilon,
        "unprotected": disclosed.of_counts(noise.bound, raw_errors=False),
        "text": f"({noise.epsilon:.4g}, {delta:g})-differential privacy for "
        f"{wording.whom(unit, clock)}, of all that this stream alone may ever release about one unit, "
        f"by {wording.noise(noise)[1]}, drawn once as it came. {statement['other_releases']}",
    }


def unproven(proof: dict[str, Any]) -> dict[str, Any]:
    """Return the statement of a training whose proof of noise failed: it counts as not private."""
    failed = [name for name, held in proof["checks"].items() if not held]
    return {
        "mechanism": "gradient",
        "proof": proof,
        "text": "No privacy guarantee: the training was charged, but the proof of its noise failed "
        f"({'; '.join(failed)}). Do not publish this model.",
        **_without_promise(),
    }


def _without_promise() -> dict[str, Any]:
    """Return the fields of the other statements where there is no guarantee."""
    return {
        "time_zone": None,
        "unprotected": disclosed.of_raw_counts(),
        "other_releases": None,
        "identification": None,
        "caveats": [],
        "version": code_version(),
    }
