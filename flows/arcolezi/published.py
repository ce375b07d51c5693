"""What the paper reports: tables 2 to 5, copied as facts (`tables.json` names the source)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

REGIONS = ("R1", "R2", "R3", "R4", "R5", "R6")
DELTA = 1e-7
EPOCHS = 100
LAGS, TEST = 6, 336


@dataclass(frozen=True)
class Setting:
    """One row of table 2 or 4: how a network was trained.

    Attributes:
        name: the paper's.
        network: `lstm`, `gru`, `bilstm` or `bigru`.
        hidden: width of the hidden state, one direction.
        batch_size: windows an update.
        learning_rate: of Adam.
        epsilon: as claimed; None without privacy.
        clip: L2 norm of one window's gradient; of gradient perturbation.
        noise_multiplier: noise over the clip; of gradient perturbation.
    """

    name: str
    network: str
    hidden: int
    batch_size: int
    learning_rate: float
    epsilon: float | None = None
    clip: float | None = None
    noise_multiplier: float | None = None


@cache
def tables() -> dict[str, Any]:
    """The whole file."""
    found: dict[str, Any] = json.loads(
        resources.files("flows.arcolezi").joinpath("tables.json").read_text()
    )
    return found


def nonprivate() -> list[Setting]:
    """Table 2."""
    return [Setting(name, name.lower(), **row) for name, row in tables()["table2_best"].items()]


def gradient() -> list[Setting]:
    """Table 4, gradient perturbation."""
    return [
        Setting(
            row["name"],
            "bigru",
            row["hidden"],
            row["batch_size"],
            row["learning_rate"],
            epsilon=row["epsilon"],
            clip=row["l2_norm_clip"],
            noise_multiplier=row["noise_multiplier"],
        )
        for row in tables()["table4_gradient"]
    ]


def perturbed() -> list[Setting]:
    """Table 4, input perturbation."""
    return [
        Setting(
            row["name"],
            "bigru",
            row["hidden"],
            row["batch_size"],
            row["learning_rate"],
            epsilon=row["epsilon"],
        )
        for row in tables()["table4_input"]
    ]


def reported(name: str, metric: str = "RMSE") -> dict[str, float]:
    """A row of table 3 or 5: error by region, and `mean`."""
    rows = tables()["table3_nonprivate"] + tables()["table5_private"]
    (row,) = [row for row in rows if row["model"] == name and row["metric"] == metric]
    return {key: row[key] for key in (*REGIONS, "mean")}


def claimed_sigma(epsilon: float) -> float:
    """Noise of the classical Gaussian mechanism at sensitivity 1 (Dwork and Roth 2014, theorem A.1)."""
    return math.sqrt(2 * math.log(1.25 / DELTA)) / epsilon
