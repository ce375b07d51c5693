"""What suits a mechanism: values that a recipe takes where it says nothing itself.

Under `gradient` every window that reads an interval costs budget, and every parameter is noised:
few lags, few parameters, large batches, averaged weights. Each choice is measured in
`docs/gradient.md`, on the synthetic city alone.
"""

from __future__ import annotations

from typing import Any

_GRADIENT: dict[str, dict[str, Any]] = {
    "windows": {"lags": 2, "seasonal": ["1d", "7d"], "around": 0, "seasons": 0, "validation": "0d"},
    "model": {"hidden": 32},
    "training": {
        "batch_size": 512,
        "epochs": 42,
        "grad_norm": 1.0,
        "learning_rate": 0.01,
        "schedule": "constant",
        "average": 0.9,
    },
}


def with_regime(values: dict[str, Any]) -> dict[str, Any]:
    """A recipe's values, with those of its mechanism's regime where there are none."""
    privacy = values.get("privacy")
    if not isinstance(privacy, dict) or privacy.get("mechanism") != "gradient":
        return values
    result = dict(values)
    for section, fields in _GRADIENT.items():
        given = values.get(section, {})
        if isinstance(given, dict):  # what is not a table is refused later, with its name
            result[section] = {**fields, **given}
    return result
