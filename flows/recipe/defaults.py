"""Defaults by mechanism and model: values of the fields that a recipe leaves out.

Under `gradient` every window that reads an interval costs budget, and every parameter is noised:
hence few lags, few parameters, large batches and averaged weights. Each choice is measured in
`docs/gradient.md`, on the made-up city alone.
"""

from __future__ import annotations

from flows.document import Document
from models.registry import HEADS

_GRADIENT: dict[str, Document] = {
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


def with_defaults(values: Document) -> Document:
    """Return a recipe's values, with the defaults of its mechanism and model filled in."""
    for section, fields in (*_of_mechanism(values), *_of_model(values)):
        given = values.get(section, {})
        if isinstance(given, dict):  # anything but a table is refused later, with its name
            values = {**values, section: {**fields, **given}}
    return values


def _of_mechanism(values: Document) -> list[tuple[str, Document]]:
    privacy = values.get("privacy")
    private = isinstance(privacy, dict) and privacy.get("mechanism") == "gradient"
    return list(_GRADIENT.items()) if private else []


def _of_model(values: Document) -> list[tuple[str, Document]]:
    """Return the solver of a convex head."""
    model = values.get("model")
    solvers = HEADS.get(str(model.get("name"))) if isinstance(model, dict) else None
    return [("training", {"optimizer": solvers[0]})] if solvers else []
