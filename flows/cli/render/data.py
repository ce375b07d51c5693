"""Data in the terminal: findings, ingested intervals and contribution bounds."""

from __future__ import annotations

from itertools import groupby

from rich.markup import escape
from rich.table import Table

from flows.cli.render.terminal import console
from flows.document import Document

_SHOWN = 5
"""Findings of one rule that are printed; the others are counted."""


def checked(document: Document) -> None:
    """Print the findings about a source."""
    out = console()
    colours = {"error": "red", "warning": "yellow", "note": "cyan"}
    for (severity, rule), group in groupby(
        document["findings"], key=lambda finding: (finding["severity"], finding["rule"])
    ):
        several = list(group)
        for finding in several[:_SHOWN]:
            mark = f" [dim]({finding['release']})[/]" if finding["release"] else ""
            out.print(f"[{colours[severity]}]{severity}[/] {escape(finding['text'])}{mark}")
        if len(several) > _SHOWN:
            out.print(f"[dim]{rule}: the same in {len(several) - _SHOWN} more columns[/]")
    if any(finding["rows"] for finding in document["findings"]):
        out.print("[dim]rows are counted from 0, below the header: row 0 is line 2 of a CSV[/]")
    if not document["usable"]:
        out.print(f"{escape(document['source'])}: not usable until the errors are mended")
    if document["usable"]:
        out.print(
            f"{escape(document['source'])}: usable, {document['intervals']} observed intervals of "
            f"{document['interval']}, {len(document['regions'])} regions "
            f"({escape(', '.join(document['regions'][:8]))}"
            f"{', …' if len(document['regions']) > 8 else ''})"
        )
        if document["undeclared"]:
            out.print(
                "[dim]read off raw events, not a private release: "
                f"{', '.join(document['undeclared'])}; declare them to run under a mechanism[/]"
            )


def ingested(document: Document) -> None:
    """Print what is new, what it cost and what arrived late."""
    out, name = console(), escape(document["panel"])
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


def contributions(document: Document) -> None:
    """Print what each K and G leaves out and the noise it needs, one group of tables per promise."""
    for plan in document["plans"]:
        _contributions(plan)


def _contributions(document: Document) -> None:
    out = console()
    title = (
        f"Counting {document['unit']} in at most K intervals; epsilon {document['epsilon']:g} at delta "
        f"{document['delta']:g}\nneighbours: {document['neighbours']}"
    )
    table = Table(title=title, title_justify="left")
    for name in ("K", "left out", "units cut", "sensitivity", "sigma", "of full", "noise to count"):
        table.add_column(name, justify="right")
    for row in document["rows"]:
        table.add_row(
            str(row["intervals_per_unit"]),
            f"{row['left_out']:.1%}",
            f"{row['units_cut']:.1%}",
            f"{row['sensitivity']:.2f}",
            f"{row['sigma']:.1f}",
            f"{row['sigma_ratio']:.0%}",
            f"{row['noise_to_count']:.0%}",
        )
    out.print(table)
    out.print(
        "left out: share of what people did that is not counted. units cut: share of units that lose "
        "some of it. noise to count: sigma against what is left, both relative to no cut; below 100 % "
        "the cut pays."
    )
    _of_regions(document["regions"])
    _best(document["choices"])
    out.print(f"[dim]how often people are seen: {escape(document['seen_from'])}[/]")
    out.print(f"[dim]spent {escape(document['spent'])}[/]")


def _best(choices: list[Document]) -> None:
    """Print the pairs of K and G that leave forecasts the most."""
    table = Table()
    for name in ("K", "G", "left out", "sigma", "noise to count"):
        table.add_column(name, justify="right")
    for row in choices[:5]:
        table.add_row(
            str(row["intervals_per_unit"]),
            "all" if row["regions_ever"] is None else str(row["regions_ever"]),
            f"{row['left_out']:.1%}",
            f"{row['sigma']:.1f}",
            f"{row['noise_to_count']:.0%}",
        )
    out, best = console(), choices[0]
    out.print(table)
    words = [f"privacy.intervals_per_unit={best['intervals_per_unit']}"]
    if best["regions_ever"] is not None:
        words.append(f"source.regions_ever={best['regions_ever']}")
    out.print(
        "K and G together, with noise of least variance (shared offsets where they help); the best is "
        f"--set {' --set '.join(words)}"
    )


def _of_regions(rows: list[Document] | None) -> None:
    """Print what each G cuts, where that is known."""
    if not rows:
        return
    table = Table()
    for name in ("G", "left out", "units cut"):
        table.add_column(name, justify="right")
    for row in rows:
        left_out = "–" if row["left_out"] is None else f"{row['left_out']:.1%}"
        table.add_row(str(row["regions_ever"]), left_out, f"{row['units_cut']:.1%}")
    out = console()
    out.print(table)
    out.print(
        "G: different regions that count a unit (source.regions_ever). left out: before K is applied, "
        "on average over the secret order."
    )
