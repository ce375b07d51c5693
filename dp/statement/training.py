"""Statement of a private training."""

from __future__ import annotations

from typing import Any

from dp.budget import Budget
from dp.composition.risk import risk
from dp.composition.total import Total
from dp.mechanisms.window_sampling import WindowSampling
from dp.statement import caveats, disclosed, wording
from dp.statement import identification as likelihood
from dp.statement.clock import protected, time_zone
from dp.statement.code_version import code_version
from dp.unit.privacy_unit import PrivacyUnit, Unit


def gradient_perturbation(
    sampling: WindowSampling,
    unit: Unit,
    *,
    epsilon: float,
    delta: float,
    clip: float,
    hit_because: str,
    scaler: str,
    inputs: dict[str, Any] | None,
    spent: float,
    persons: int | None,
    total: Total,
    enforced: bool = False,
    clock: str | None = None,
    cap: Budget | None = None,
) -> dict[str, Any]:
    """Return the statement of a model trained by DP-SGD.

    Args:
        sampling: batches, noise and their account.
        unit: privacy unit.
        epsilon: of everything this run released, at `delta`.
        delta: of everything this run released.
        clip: C.
        hit_because: why so many windows count as changed.
        scaler: where the scale of the counts comes from.
        inputs: statement of the noised counts that forecasts read; None if they are raw.
        spent: epsilon of everything charged to the data set for this unit so far, at `delta`.
        persons: how many people may be in the data, if known.
        total: everything that this run released.
        enforced: whether the contribution bound was enforced in counting raw events.
        clock: IANA name of the zone that days and weeks are counted in; None if it is not declared.
        cap: of the account; None if it has none.
    """
    naive = sampling.naive_epsilon(delta)
    uncovered = [
        "errors that were computed against raw counts: evaluated on raw data, not a private release",
        *(
            wording.wider_units(unit)
            if isinstance(unit, PrivacyUnit)
            else wording.other_intervals(unit)
        ),
    ]
    if inputs is None:
        uncovered.insert(
            0,
            "forecasts: the model reads the latest counts as they are, and its forecast shows much "
            "of them; only the weights are covered (privacy.protect_inputs noises and charges them)",
        )
    return {
        "mechanism": "gradient",
        "unit": unit.value,
        "protects": protected(unit, clock),
        "neighbours": unit.neighbours,
        "epsilon": epsilon,
        "delta": delta,
        "epsilon_spent_on_data_set": spent,
        "epsilon_naive": naive,
        "naive_is": "what an account per window would say (one window, not an interval or a person); "
        "not a guarantee",
        "noise": "Gaussian on the clipped sum of the windows' gradients, at every update (DP-SGD)",
        "sigma": sampling.noise_multiplier,
        "clip": clip,
        "sampling": {
            "rate": sampling.rate,
            "windows": sampling.windows,
            "updates": sampling.steps,
            "windows_changed_by_one_unit": sampling.hit,
        },
        "bound": [
            f"one unit changes at most {sampling.hit} of {sampling.windows} training windows: "
            f"{hit_because}",
            f"each window's gradient is clipped to {clip:g}, so that a changed one moves the sum by at "
            f"most {2 * clip:g}",
            f"a window is in the batch of an update with probability {sampling.rate:.4g}, unseen by "
            "anybody",
            f"scale of the counts: {scaler}",
        ],
        "scaler": scaler,
        "inputs": inputs or "raw",
        "assumptions": [
            "the batches and the noise stay secret; they come from the operating system's entropy "
            "and are not kept (the recipe's seed fixes the initial weights alone)",
            "the contribution bound holds: it was enforced when the events were counted"
            if enforced
            else "the number of windows that one unit changes follows from the calendar and, where "
            "a bound was declared, from the operator's word; nothing here enforces it",
            wording.LISTED,
            "hyperparameters were not chosen on these counts",
            *(wording.ENFORCED if enforced else wording.TO_CONFIRM),
        ],
        "not_covered": uncovered,
        "warnings": wording.warnings(delta, persons),
        "text": f"({epsilon:.4g}, {delta:g})-differential privacy of the model's weights"
        f"{' and of the counts it forecasts from' if inputs else ''} for "
        f"{wording.whom(unit, clock)}, by Gaussian noise of "
        f"{sampling.noise_multiplier:.3g} times the clip at each of {sampling.steps} updates; one "
        f"unit changes up to {sampling.hit} of {sampling.windows} windows. An account per window "
        f"would say epsilon {naive:.3g} at delta {delta:g} (naive, not a guarantee).",
        "time_zone": time_zone(unit, clock),
        "unprotected": [
            *disclosed.of_training(sampling),
            *([] if inputs else ["the latest counts, as far as forecasts show them"]),
        ],
        "other_releases": wording.other_releases(unit, spent, delta, cap),
        "identification": likelihood.identification(
            total, unit, likelihood.of_training(sampling), limit=wording.limit(unit, cap)
        ),
        "caveats": [
            *caveats.of_training(),
            *([f"in the noised counts that forecasts read: {caveats.EXACT}"] if inputs else []),
        ],
        "version": code_version((*caveats.TRAINING_LIBRARIES, *(("opendp",) if inputs else ()))),
        **risk(total, what=wording.guess(unit)),
    }
