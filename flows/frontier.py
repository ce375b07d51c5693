"""The picture and the table of a sweep: error against epsilon, or optimizers side by side."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = dict[str, Any]


def write(
    table: list[Row], documents: list[dict[str, Any]], total: dict[str, Any], folder: Path
) -> dict[str, str]:
    """Write the picture, and all trainings as CSV; returns their paths as `frontier` and `csv`."""
    name = json.dumps([[row["mechanism"], row["epsilon"], row["model"], row["optimizer"],
                        row["learning_rate"], row["rmse"]] for row in table])  # fmt: skip
    stem = f"sweep-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    picture, csv = folder / f"{stem}.png", folder / f"{stem}.csv"
    picture.write_bytes(draw(table, total))
    _flat(documents).to_csv(csv, index=False)
    return {"frontier": str(picture), "csv": str(csv)}


def draw(table: list[Row], total: dict[str, Any]) -> bytes:
    """A PNG: lines over epsilon where there are several, else one row of dots a point."""
    import io

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    budgets = {row["epsilon"] for row in table if row["epsilon"] is not None}
    height = 5.0 if len(budgets) > 1 else 0.32 * len(table) + 1.6
    figure = Figure(figsize=(8.5, height), layout="constrained")
    axis = figure.subplots()
    (_lines if len(budgets) > 1 else _dots)(axis, table)
    promise = (
        f"{total['unit']}, δ = {total['delta']:g} ({total['neighbours']})"
        if total["unit"]
        else "no privacy"
    )
    axis.set_title(f"{promise}\nevaluated on raw data, not a private release", fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def _lines(axis: Axes, table: list[Row]) -> None:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in table:
        groups.setdefault((row["mechanism"], row["model"], row["optimizer"] or ""), []).append(row)
    for key, rows in groups.items():
        label = " ".join(part for part in key if part)
        if rows[0]["epsilon"] is None:
            axis.axhline(rows[0]["rmse"], ls="--", lw=1, color="#52606d", label=label)
            continue
        rows = sorted(rows, key=lambda row: row["epsilon"])
        axis.errorbar(
            [row["epsilon"] for row in rows], [row["rmse"] for row in rows],
            yerr=[row["sd"] or 0.0 for row in rows], marker="o", ms=4, lw=1.3, capsize=2,
            label=label,
        )  # fmt: skip
    _baselines(axis.axhline, axis, table)
    axis.set_xscale("log")
    axis.set_xlabel("ε", fontsize=9)
    axis.set_ylabel("RMSE, persons, mean over regions", fontsize=9)
    axis.legend(fontsize=8)


def _dots(axis: Axes, table: list[Row]) -> None:
    rows = sorted(table, key=lambda row: row["rmse"])
    labels = [
        " ".join([row["mechanism"], row["model"], row["optimizer"] or "closed form",
                  "" if row["epsilon"] is None else f"ε={row['epsilon']:.3g}"]).strip()
        for row in rows
    ]  # fmt: skip
    at = range(len(rows))
    axis.errorbar(
        [row["rmse"] for row in rows], at, xerr=[row["sd"] or 0.0 for row in rows],
        fmt="o", ms=5, capsize=3, color="#0b6e99",
    )  # fmt: skip
    _baselines(axis.axvline, axis, table)
    axis.set_yticks(at, labels, fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("RMSE, persons, mean over regions (± sd over seeds)", fontsize=9)
    axis.legend(fontsize=8)


def _baselines(line: Callable[..., Any], axis: Axes, table: list[Row]) -> None:
    """Persistence and seasonal, which need no training; one that is far off is named, not drawn."""
    most = max(row["rmse"] for row in table)
    for name, colour in (("persistence", "#9aa5b1"), ("seasonal", "#d9a441")):
        found = next((row["baselines"][name] for row in table if name in row["baselines"]), None)
        if found is None:
            continue
        if found <= 1.5 * most:
            line(found, ls=":", lw=1.2, color=colour, label=f"{name} {found:,.0f}")
        else:
            axis.plot([], [], " ", label=f"{name} {found:,.0f}, off the scale")


def _flat(documents: list[dict[str, Any]]) -> pd.DataFrame:
    """One row a training."""
    names = ("point", "run_id", "source", "model", "optimizer", "mechanism", "unit", "epsilon",
             "delta", "neighbours", "sigma", "seed", "seconds", "ledger_entry")  # fmt: skip
    return pd.DataFrame(
        {
            **{name: one[name] for name in names},
            "rmse": one["rmse"]["mean"],
            "mae": one["mae"]["mean"],
            **{f"rmse {region}": value for region, value in one["rmse"]["regions"].items()},
        }
        for one in documents
    )
