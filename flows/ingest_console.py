"""What `veilcast ingest` and `veilcast plan --events` say to people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def ingested(document: dict[str, Any]) -> None:
    """What is new, what it cost, what came late."""
    out, name = _console(), escape(document["panel"])
    release = document["release"]
    if release is None:
        out.print(f"{name}: nothing new (a release needs two intervals)")
    else:
        out.print(
            f"{name}: {document['new']} intervals from {document['from']} to {document['to']}"
        )
        out.print(
            f"  epsilon {release['epsilon']:.4g} at delta {release['delta']:g} for {release['unit']} "
            f"(neighbours: {release['neighbours']}); sigma {release['sigma']:.1f} persons; ledger entry "
            f"{release['ledger_entry']}"
        )
        out.print(
            f"  spent on this data set so far: epsilon {release['epsilon_spent_on_data_set']:.4g} at "
            f"delta {release['delta']:g} for {release['unit']}"
        )
        for line in release["bound"]:
            out.print(f"  {line}")
        if document["kept_raw"]:
            out.print("  raw counts were kept as well, apart (source.keep_raw)")
    late = document["late"]
    if late["intervals"]:
        out.print(
            f"  late: {late['intervals']} released intervals from {late['from']} to {late['to']} would "
            f"be counted otherwise now ({late['note']})"
        )


def contributions(document: dict[str, Any]) -> None:
    """What each K leaves out, and the noise it needs; a table for each promise."""
    for plan in document["plans"]:
        _contributions(plan)


def _contributions(document: dict[str, Any]) -> None:
    out = _console()
    title = (
        f"Counting {document['unit']} in at most K intervals; epsilon {document['epsilon']:g} at delta "
        f"{document['delta']:g}\nneighbours: {document['neighbours']}"
    )
    table = Table(title=title, title_justify="left")
    for name in ("K", "left out", "units cut", "sensitivity", "sigma", "of full", "noise to count"):
        table.add_column(name, justify="right")
    for row in document["rows"]:
        table.add_row(
            str(row["intervals_per_unit"]), f"{row['left_out']:.1%}", f"{row['units_cut']:.1%}",
            f"{row['sensitivity']:.2f}", f"{row['sigma']:.1f}", f"{row['sigma_ratio']:.0%}",
            f"{row['noise_to_count']:.0%}",
        )  # fmt: skip
    out.print(table)
    out.print(
        "left out: share of what people did that is not counted. units cut: share of units that lose "
        "some of it. noise to count: sigma against what is left, both relative to no cut; below 100 % "
        "the cut pays."
    )
    out.print(f"[dim]how often people are seen: {escape(document['seen_from'])}[/]")
    out.print(f"[dim]spent {escape(document['spent'])}[/]")


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)
