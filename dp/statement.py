"""The statement: what a run guarantees, to whom, and under which assumptions."""

from __future__ import annotations

from typing import Any

from dp.composition import Total
from dp.mechanisms import CountNoise
from dp.risk import risk
from dp.sampling import WindowSampling
from dp.unit import NEIGHBOURS, IntervalUnit, PrivacyUnit, Unit

_TO_CONFIRM = (
    "to be confirmed by the data owner: whether regions are nested or overlap, so that one person is "
    "counted in several of them within an interval",
    "to be confirmed by the data owner: whether counts were extrapolated, so that one person weighs "
    "more than the bound says",
)


_ENFORCED = (
    "every person has one identifier in the events; who has several is protected as several",
)
"""What is left to assume where the contribution bound was enforced in counting raw events."""


def no_privacy() -> dict[str, Any]:
    """Statement of a run without a mechanism."""
    return {
        "mechanism": "none",
        "text": "No privacy guarantee: the model was trained on raw counts, and its weights, "
        "forecasts and errors may expose single persons.",
    }


def input_perturbation(
    noise: CountNoise,
    unit: PrivacyUnit,
    *,
    reasons: tuple[str, ...],
    spent: float,
    persons: int | None,
    total: Total,
    enforced: bool = False,
) -> dict[str, Any]:
    """Statement of a run on a noised panel.

    Args:
        noise: the mechanism that made the panel.
        unit: privacy unit.
        reasons: why the contribution bound is what it is.
        spent: epsilon of everything charged to the data set for this unit so far, same delta.
        persons: how many people may be in the data, if known.
        total: everything that this run released.
        enforced: whether the contribution bound was enforced in counting raw events.
    """
    delta = noise.budget.delta
    return {
        "mechanism": "input",
        "unit": unit.value,
        "protects": f"the records of {unit.protects}",
        "neighbours": NEIGHBOURS,
        "epsilon": noise.epsilon,
        "delta": delta,
        "epsilon_spent_on_data_set": spent,
        "noise": "discrete Gaussian on every observed count (OpenDP)",
        "sigma": noise.sigma,
        "sensitivity": noise.bound.sensitivity,
        "bound": list(reasons),
        "assumptions": [
            "the contribution bound holds: it was enforced when the events were counted"
            if enforced
            else "the contribution bound holds; it is declared, not measured on these counts",
            "which intervals were observed, and the names of the regions, are public",
            "the whole panel was noised once; everything after it (repair, scaling, training, early "
            "stopping, forecasts) saw noised counts only and costs nothing more",
            *(_ENFORCED if enforced else _TO_CONFIRM),
        ],
        "not_covered": [
            "errors that were computed against raw counts: evaluated on raw data, not a private "
            "release",
            *_wider_units(unit),
        ],
        "warnings": _warnings(delta, persons),
        "text": f"({noise.epsilon:.4g}, {delta:g})-differential privacy for the records of "
        f"{unit.protects} (neighbours: {NEIGHBOURS}), by discrete Gaussian noise of standard "
        f"deviation {noise.sigma:.1f} persons on every count.",
        **risk(total, what=_guess(unit)),
    }


def stream(
    noise: CountNoise,
    unit: PrivacyUnit,
    *,
    reasons: tuple[str, ...],
    spent: float,
    persons: int | None,
    total: Total,
) -> dict[str, Any]:
    """Statement of counts that are released as they come; takes what `input_perturbation` takes.

    Epsilon is what the stream may ever spend on one unit, or what was spent if that is more.

    Args:
        noise: the mechanism, calibrated for everything that one unit can be counted in.
        unit: privacy unit.
        reasons: why the contribution bound is what it is.
        spent: epsilon of everything charged to the data set for this unit so far, same delta.
        persons: how many people may be in the data, if known.
        total: everything charged to the most affected unit so far.
    """
    said = input_perturbation(
        noise, unit, reasons=reasons, spent=spent, persons=persons, total=total
    )
    epsilon, delta = max(noise.epsilon, spent), noise.budget.delta
    ever = "" if unit is PrivacyUnit.USER else ", whatever is released before or after"
    said["assumptions"][2] = (
        "every interval was noised once, when it came, and is never noised again; everything after "
        "that (repair, scaling, training, promotion, forecasts) saw noised counts only"
    )
    said["not_covered"] = said["not_covered"][1:]  # nothing was computed against raw counts
    return {
        **said,
        "epsilon": epsilon,
        "text": f"({epsilon:.4g}, {delta:g})-differential privacy for the records of "
        f"{unit.protects} (neighbours: {NEIGHBOURS}){ever}, by discrete Gaussian noise of standard "
        f"deviation {noise.sigma:.1f} persons on every count, drawn once as it came.",
    }


def unproven(proof: dict[str, Any]) -> dict[str, Any]:
    """Statement of a training whose noise could not be proven: it counts as not private."""
    failed = [name for name, held in proof["checks"].items() if not held]
    return {
        "mechanism": "gradient",
        "proof": proof,
        "text": "No privacy guarantee: the training was charged, but the proof of its noise failed "
        f"({'; '.join(failed)}). Do not publish this model.",
    }


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
) -> dict[str, Any]:
    """Statement of a model trained by DP-SGD.

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
    """
    naive = sampling.naive_epsilon(delta)
    uncovered = [
        "the training loss and errors that were computed against raw counts: evaluated on raw data, "
        "not a private release",
        *(_wider_units(unit) if isinstance(unit, PrivacyUnit) else _other_intervals(unit)),
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
        "protects": f"the records of {unit.protects}",
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
            "which intervals were observed, and the names of the regions, are public",
            "hyperparameters were not chosen on these counts",
            *(_ENFORCED if enforced else _TO_CONFIRM),
        ],
        "not_covered": uncovered,
        "warnings": _warnings(delta, persons),
        "text": f"({epsilon:.4g}, {delta:g})-differential privacy of the model's weights"
        f"{' and of the counts it forecasts from' if inputs else ''} for the records of "
        f"{unit.protects} (neighbours: {unit.neighbours}), by Gaussian noise of "
        f"{sampling.noise_multiplier:.3g} times the clip at each of {sampling.steps} updates; one "
        f"unit changes up to {sampling.hit} of {sampling.windows} windows. An account per window "
        f"would say {naive:.3g} (naive, not a guarantee).",
        **risk(total, what=_guess(unit)),
    }


def _guess(unit: Unit) -> str:
    if isinstance(unit, IntervalUnit):
        which = unit.protects.removeprefix("everybody in ")
        return f"whether the counts of {which} are one thing or another"
    return f"whether the records of {unit.protects} are in the data"


def _other_intervals(unit: IntervalUnit) -> list[str]:
    longer = "several intervals" if unit.width == 1 else f"more than {unit.width} intervals"
    return [
        f"whatever is spread over {longer}, such as a person's day: the guarantee weakens as they "
        "add up"
    ]


def _wider_units(unit: PrivacyUnit) -> list[str]:
    if unit is PrivacyUnit.USER:
        return []
    return [f"a person's records beyond {unit.protects}: the guarantee weakens as they add up"]


def _warnings(delta: float, persons: int | None) -> list[str]:
    if persons is None or delta < 1 / persons:
        return []
    return [
        f"delta {delta:g} is not below 1/{persons} persons: publishing one person outright would be "
        "allowed; choose a smaller delta"
    ]
