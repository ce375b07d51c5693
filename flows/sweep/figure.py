"""The picture and the tables of a sweep: error against epsilon, or points side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from flows.pipeline.evaluate import NOT_PRIVATE
from flows.pipeline.result import RunResult
from flows.sweep.cost import Announcement
from flows.sweep.result import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = (
    "source",
    "model",
    "optimizer",
    "mechanism",
    "unit",
    "epsilon",
    "delta",
    "neighbours",
    "sigma",
    "seed",
    "seconds",
    "ledger_entry",
)
"""Of the table of all trainings."""
LEGIBLE = 16
"""Lines that a picture names; the page names any number."""
FAR = 1.5
"""A baseline this many times above every point is named, and not drawn."""


def by_unit(table: list[Row], total: Announcement) -> dict[str, list[Row]]:
    """Sort rows into panels of a frontier: one per unit, each with the rows without privacy."""
    promised = [one for one in total.units if any(row.unit == one.unit for row in table)]
    if not promised:
        return {"no privacy": table}
    return {
        f"{one.unit}, δ = {one.delta:g} ({one.neighbours})": [
            row for row in table if row.unit in (None, one.unit)
        ]
        for one in promised
    }


def lines(rows: list[Row]) -> dict[str, list[Row]]:
    """Rows by what they compare, in order of epsilon."""
    by_name: dict[str, list[Row]] = {}
    for row in rows:
        by_name.setdefault(row.compared, []).append(row)
    return {
        name: sorted(line, key=lambda row: row.epsilon or 0.0) for name, line in by_name.items()
    }


def baselines(rows: list[Row]) -> dict[str, float]:
    """RMSE of persistence and of repeating the last season, which need no training."""
    return {
        name: next(row.baselines[name] for row in rows if name in row.baselines)
        for name in ("persistence", "seasonal")
        if any(name in row.baselines for row in rows)
    }


def tables(results: Sequence[tuple[str, RunResult]], stem: Path) -> dict[str, Path]:
    """All trainings as CSV and as Parquet, by kind."""
    frame = _flat(results)
    csv, parquet = stem.with_suffix(".csv"), stem.with_suffix(".parquet")
    frame.to_csv(csv, index=False)
    frame.to_parquet(parquet, index=False)
    return {"csv": csv, "parquet": parquet}


def write(table: list[Row], total: Announcement, path: Path) -> Path:
    """A PNG: lines over epsilon where there are several, else one row of dots a point."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = by_unit(table, total)
    several = len({row.epsilon for row in table if row.epsilon is not None}) > 1
    height = 5.0 if several else 0.32 * max(map(len, panels.values())) + 1.6
    figure = Figure(figsize=(8.5 * len(panels), height), layout="constrained")
    for axis, (title, rows) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        (_lines if several else _dots)(axis, rows)
        axis.set_title(f"{title}\n{NOT_PRIVATE}", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    with path.open("wb") as file:
        FigureCanvasAgg(figure).print_png(file)
    return path


def _lines(axis: Axes, rows: list[Row]) -> None:
    for label, line in lines(rows).items():
        if line[0].epsilon is None:
            axis.axhline(line[0].rmse, ls="--", lw=1, color="#52606d", label=label)
            continue
        axis.errorbar(
            [row.epsilon or 0.0 for row in line],
            [row.rmse for row in line],
            yerr=[row.sd or 0.0 for row in line],
            marker="o",
            ms=4,
            lw=1.3,
            capsize=2,
            label=label,
        )
    _baselines(axis.axhline, axis, rows)
    axis.set_xscale("log")
    axis.set_xlabel("ε", fontsize=9)
    axis.set_ylabel("RMSE, persons, mean over regions", fontsize=9)
    if len(lines(rows)) <= LEGIBLE:
        axis.legend(fontsize=8)


def _dots(axis: Axes, rows: list[Row]) -> None:
    rows = sorted(rows, key=lambda row: row.rmse)
    labels = [
        " ".join(
            [
                row.mechanism,
                row.model,
                row.optimizer or "closed form",
                "" if row.epsilon is None else f"ε={row.epsilon:.3g}",
            ]
        ).strip()
        for row in rows
    ]
    at = range(len(rows))
    axis.errorbar(
        [row.rmse for row in rows],
        at,
        xerr=[row.sd or 0.0 for row in rows],
        fmt="o",
        ms=5,
        capsize=3,
        color="#0b6e99",
    )
    _baselines(axis.axvline, axis, rows)
    axis.set_yticks(at, labels, fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("RMSE, persons, mean over regions (± sd over seeds)", fontsize=9)
    axis.legend(fontsize=8)


def _baselines(line: Callable[..., Any], axis: Axes, rows: list[Row]) -> None:
    most = max(row.rmse for row in rows)
    colours = {"persistence": "#9aa5b1", "seasonal": "#d9a441"}
    for name, rmse in baselines(rows).items():
        if rmse <= FAR * most:
            line(rmse, ls=":", lw=1.2, color=colours[name], label=f"{name} {rmse:,.0f}")
        else:
            axis.plot([], [], " ", label=f"{name} {rmse:,.0f}, off the scale")


def _flat(results: Sequence[tuple[str, RunResult]]) -> pd.DataFrame:
    """One row per training."""
    return pd.DataFrame(
        {
            "point": title,
            **{name: getattr(result, name) for name in _COLUMNS},
            "rmse": result.rmse.mean,
            "mae": result.mae.mean,
            **{f"rmse {region}": value for region, value in result.rmse.regions.items()},
        }
        for title, result in results
    )
