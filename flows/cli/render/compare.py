"""Comparisons in the terminal: plan, backtest, tune and reproduce."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.cli.render.terminal import console
from flows.document import Document


def planned(document: Document) -> None:
    """Print noise and expected loss of every promise, and the regions that drown."""
    out = console()
    title = (
        f"Expected error of a forecast of {escape(document['source'])}, one interval ahead\n"
        f"delta {document['delta']:g}, neighbours: {document['neighbours']}"
    )
    table = Table(title=title, title_justify="left")
    for name in ("unit", "epsilon", "sigma", "independent", "error"):
        table.add_column(name, justify="left" if name == "unit" else "right")
    for name in ("weak", "drowned"):
        table.add_column(name)
    for row in document["rows"]:
        named = {
            verdict: ", ".join(
                f"{escape(name)} ({region['loss']:+.0%})"
                for name, region in row["regions"].items()
                if region["verdict"] == verdict
            )
            for verdict in ("weak", "drowned")
        }
        table.add_row(
            row["unit"],
            f"{row['epsilon']:g}",
            f"{row['sigma']:.1f}",
            f"{row['sigma_independent']:.1f}",
            f"{row['loss']:+.1%}",
            f"[yellow]{named['weak'] or '–'}[/]",
            f"[red]{named['drowned'] or '–'}[/]",
        )
    out.print(table)
    out.print(
        "sigma: noise on every count, persons; independent: if no counts shared an offset. error: "
        "change of the mean RMSE against no privacy. "
        "weak: a region's error grows by over 10 %. drowned: it more than doubles."
    )
    shown = ", ".join(
        escape(name) if name.endswith(f"{size:,.0f}") else f"{escape(name)} {size:,.0f}"
        for name, size in document["sizes"].items()
    )
    out.print(f"[dim]usual counts from {document['sizes_from']}: {shown}[/]")
    out.print("[dim]how error grows is taken from a synthetic city; the numbers are a forecast[/]")
    out.print(f"[dim]spent {document['spent']}[/]")


def backtested(document: Document) -> None:
    """Print forecasters side by side, the best one first."""
    out = console()
    folds = document["folds"]
    title = f"Errors in persons on {folds['count']} × {folds['length']} before the test period"
    table = Table(title=title, title_justify="left")
    rows = sorted(document["rows"], key=lambda row: row["rmse"]["mean"])
    names = [name for name in rows[0] if name != "model"]
    table.add_column("forecaster")
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(row["model"], *(_figure(row[name]) for name in names))
    out.print(table)
    out.print(f"[dim]{document['evaluation']}[/]")
    _charged(out, document)


def tuned(document: Document) -> None:
    """Print the result of a search, and whether it holds with other seeds."""
    out = console()
    out.print(
        f"{document['model']} on {escape(document['source'])}, {document['trials']} trials; RMSE in "
        f"persons, mean ± sd over seeds\n  before {_figure(document['before'])}\n  best   "
        f"{_figure(document['best'])}"
    )
    if document["settings"]:
        for path, value in document["settings"].items():
            out.print(f"  {path} = {value}")
    else:
        out.print("[yellow]nothing better than the recipe held with other seeds; it is kept[/]")
    out.print(f"[dim]{document['evaluation']}[/]")
    _charged(out, document)
    out.print(f"recipe   {escape(document['recipe'])}")
    out.print(f"[dim]next: veilcast train {escape(document['recipe'])}[/]")


def _charged(out: Console, document: Document) -> None:
    if document["unit"] is not None:
        out.print(
            f"epsilon {document['epsilon']:.4g} at delta {document['delta']:g} for "
            f"{document['unit']} (neighbours: {document['neighbours']}), charged once; comparing is free"
        )


def _figure(score: Document) -> str:
    digits = 1 if score["mean"] >= 10 else 3
    sd = "" if score["sd"] is None else f" ± {score['sd']:.{digits}f}"
    return f"{score['mean']:.{digits}f}{sd}"


def reproduced(document: Document) -> None:
    """Print forecasters under honest selection, and the paths of the report."""
    out = console()
    table = Table(title="RMSE in persons, mean over regions", title_justify="left")
    for name in ("promise", "forecaster", "folds", "test week"):
        table.add_column(name, justify="right" if name in ("folds", "test week") else "left")
    for row in document["honest"]:
        name = f"[bold]{row['model']}[/] (chosen)" if row["chosen"] else row["model"]
        sd = "" if row["sd"] is None else f" ± {row['sd']:.1f}"
        table.add_row(row["privacy"], name, f"{row['folds']:.1f}", f"{row['mean']:.1f}{sd}")
    out.print(table)
    out.print("[dim]evaluated on raw data, not a private release[/]")
    for kind, path in document["files"].items():
        out.print(f"{kind:5s} {path}")
