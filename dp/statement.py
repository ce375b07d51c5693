"""The statement: what a run guarantees, to whom, and under which assumptions."""

from __future__ import annotations

from typing import Any

from dp.mechanisms import CountNoise
from dp.unit import NEIGHBOURS, PrivacyUnit


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
) -> dict[str, Any]:
    """Statement of a run on a noised panel.

    Args:
        noise: the mechanism that made the panel.
        unit: privacy unit.
        reasons: why the contribution bound is what it is.
        spent: epsilon of everything charged to the data set for this unit so far, same delta.
        persons: how many people may be in the data, if known.
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
            "the contribution bound holds; it is declared, not measured on these counts",
            "which intervals were observed, and the names of the regions, are public",
            "the whole panel was noised once; everything after it (repair, scaling, training, early "
            "stopping, forecasts) saw noised counts only and costs nothing more",
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
    }


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
