"""What people read in the terminal about a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from flows.charges import Announcement


def announced(total: Announcement) -> None:
    """What is about to be charged, on stderr: stdout is for the result."""
    console = Console(highlight=False, soft_wrap=True, stderr=True)
    console.print(f"{total.points} points, {total.trainings} trainings")
    if total.unit is None:
        console.print("no privacy: nothing is charged")
        return
    promise = f"at delta {total.delta:g} for {total.unit} (neighbours: {total.neighbours})"
    console.print(
        f"{total.charges} new charges, composed epsilon {total.epsilon:.4g} {promise}; with what was "
        f"spent before {total.after:.4g}"
    )
    if total.cap is not None:
        fits = "it fits" if total.after <= total.cap else "[red]it does not fit[/]"
        console.print(f"cap {total.cap:g}: {fits}")


def swept(document: dict[str, Any]) -> None:
    """One row a point, the best first."""
    console = Console(highlight=False, soft_wrap=True)
    table = Table(title="RMSE in persons, mean over regions ± sd over seeds", title_justify="left")
    for name in ("mechanism", "epsilon", "model", "optimizer", "rate", "RMSE"):
        words = name in ("mechanism", "model", "optimizer")
        table.add_column(name, justify="left" if words else "right", no_wrap=True)
    for row in sorted(document["table"], key=lambda row: row["rmse"]):
        sd = "" if row["sd"] is None else f" ± {row['sd']:.1f}"
        rate = row["learning_rate"]
        table.add_row(
            row["mechanism"], "–" if row["epsilon"] is None else f"{row['epsilon']:.4g}",
            row["model"], row["optimizer"] or "closed form",
            "recipe's" if rate is None else f"{rate:g}", f"{row['rmse']:.1f}{sd}",
        )  # fmt: skip
    console.print(table)
    total = document["total"]
    if total["unit"] is not None:
        console.print(
            f"epsilon at delta {total['delta']:g} for {total['unit']} (neighbours: "
            f"{total['neighbours']}), of each training; {total['charges']} charges are new, together "
            f"{total['epsilon']:.4g}. rate: learning rate"
        )
    console.print(f"[dim]{document['evaluation']}[/]")
    for name in ("frontier", "csv"):
        console.print(f"{name:8s} {escape(document[name])}")
