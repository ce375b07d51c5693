"""Sweeps in the terminal: their charge, and one row per point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from flows.cli.render.terminal import console

if TYPE_CHECKING:
    from flows.sweep.cost import Announcement
from flows.sweep.result import SweepResult


def announced(total: Announcement) -> None:
    """Print what is about to be charged, on stderr: stdout is for the result."""
    out = console(stderr=True)
    out.print(f"{total.points} points, {total.trainings} trainings")
    if not total.units:
        out.print("no privacy: nothing is charged")
    for one in total.units:
        out.print(
            f"{total.charges} new charges, composed epsilon {one.epsilon:.4g} at delta "
            f"{one.delta:g} for {one.unit} (neighbours: {one.neighbours}); with what was spent "
            f"before {one.after:.4g}"
        )
        if one.cap is None:
            continue
        cap = f"cap {one.cap.epsilon:g} at delta {one.cap.delta:g} for {one.unit}"
        if one.fits == total.charges:
            out.print(f"{cap}: it fits")
        else:
            out.print(
                f"{cap}: [red]it does not fit[/]; the first {one.fits} of the {total.charges} charges "
                "would. Fewer budgets, models or seeds cost less"
            )


def swept(result: SweepResult) -> None:
    """Print one row per point, the best first."""
    out = console()
    table = Table(title="RMSE in persons, mean over regions ± sd over seeds", title_justify="left")
    for name in ("mechanism", "unit", "epsilon", "model", "optimizer", "rate", "RMSE"):
        words = name in ("mechanism", "unit", "model", "optimizer")
        table.add_column(name, justify="left" if words else "right")
    for row in sorted(result.table, key=lambda row: row.rmse):
        sd = "" if row.sd is None else f" ± {row.sd:.1f}"
        rate = row.learning_rate
        table.add_row(
            row.mechanism,
            row.unit or "–",
            "–" if row.epsilon is None else f"{row.epsilon:.4g}",
            row.model,
            row.optimizer or "closed form",
            "recipe's" if rate is None else f"{rate:g}",
            f"{row.rmse:.1f}{sd}",
        )
    out.print(table)
    total = result.total
    for one in total.units:
        out.print(
            f"epsilon of each training is at delta {one.delta:g} (neighbours: "
            f"{one.neighbours}); for {one.unit} the {total.charges} new charges come to "
            f"{one.epsilon:.4g}, with all that was spent before {one.after:.4g}"
        )
    out.print(f"[dim]{result.evaluation}; rate: learning rate[/]")
    for name in ("frontier", "picture", "csv", "parquet"):
        out.print(f"{name:8s} {escape(result.files[name])}")
    out.print(f"run      {result.run_id}, with a child for every training (veilcast ui)")
