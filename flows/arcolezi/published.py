"""The paper's reported figures: tables 2 to 5, copied as facts (`tables.json` names the source)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib import resources

from flows.document import Document

REGIONS = ("R1", "R2", "R3", "R4", "R5", "R6")
DELTA = 1e-7
EPOCHS = 100
LAGS, TEST = 6, 336


@dataclass(frozen=True)
class Setting:
    """One row of table 2 or 4: how a network was trained.

    Attributes:
        name: the paper's name of it.
        network: `lstm`, `gru`, `bilstm` or `bigru`.
        hidden: width of the hidden state, one direction.
        batch_size: windows per update.
        learning_rate: of Adam.
        epsilon: the paper's claim; None without privacy.
        clip: bound on the L2 norm of one window's gradient, for gradient perturbation.
        noise_multiplier: noise over the clip, for gradient perturbation.
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
def tables() -> Document:
    """Read the whole file."""
    content: Document = json.loads(
        resources.files("flows.arcolezi").joinpath("tables.json").read_text()
    )
    return content


def nonprivate() -> list[Setting]:
    """Return the settings of table 2."""
    return [Setting(name, name.lower(), **row) for name, row in tables()["table2_best"].items()]


def gradient() -> list[Setting]:
    """Return the settings of table 4 for gradient perturbation."""
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
    """Return the settings of table 4 for input perturbation."""
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
    """Return a row of table 3 or 5: error by region, and `mean`."""
    rows = tables()["table3_nonprivate"] + tables()["table5_private"]
    (row,) = [row for row in rows if row["model"] == name and row["metric"] == metric]
    return {key: row[key] for key in (*REGIONS, "mean")}


def claimed_sigma(epsilon: float) -> float:
    """Return σ of the classical Gaussian mechanism at sensitivity 1 (Dwork and Roth 2014, thm. A.1)."""
    return math.sqrt(2 * math.log(1.25 / DELTA)) / epsilon
