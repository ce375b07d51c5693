"""Runs in the terminal: their errors, statements, lists and forecasts."""

from __future__ import annotations

from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

from flows.cli.render.terminal import console, number
from flows.document import Document
from flows.pipeline.result import BaselineErrors, RunResult


def trained(result: RunResult) -> None:
    """Print the result of a training run."""
    out = console()
    table = Table(title="Forecast error in persons, mean over regions", title_justify="left")
    for name, kind in (("forecast", "left"), ("RMSE", "right"), ("MAE", "right")):
        table.add_column(name, justify=kind)  # type: ignore[arg-type]
    table.add_row(f"[bold]{result.model}[/]", *_errors(result))
    for name, errors in result.rivals.items():
        table.add_row(name.replace("_", " "), *_errors(errors))
    out.print(table)
    out.print(f"[dim]{result.evaluation}; test {result.test.start} to {result.test.end}[/]")
    out.print(f"\n{escape(result.statement['text'])}")
    for gap in result.statement.get("not_covered", []):
        out.print(f"[dim]not covered: {escape(gap)}[/]")
    if result.proof is not None:
        held = "holds" if result.proof["holds"] else "[red]failed[/]"
        out.print(f"Proof of noise {held} ({len(result.proof['checks'])} checks).")
    for warning in result.statement.get("warnings", []):
        out.print(f"[yellow]warning:[/] {warning}")
    if result.ledger_entry is not None and result.unit is not None:
        spent = result.statement["epsilon_spent_on_data_set"]
        out.print(
            f"Charged as ledger entry {result.ledger_entry}; spent so far on "
            f"{escape(result.source)}, {result.unit}: epsilon {spent:.4g} at delta "
            f"{result.delta:g}."
        )
    out.print(f"\nreport   {escape(result.report)}")
    out.print(f"picture  {escape(result.figure)}")
    out.print(f"run      {result.run_id}  ({result.seconds} s)")
    out.print(f"[dim]next: veilcast forecast {result.run_id[:8]}, veilcast runs, veilcast ui[/]")


def statement(document: Document) -> None:
    """A statement, as pages of text."""
    Console(width=min(100, Console().width)).print(Markdown(document["markdown"]))


def listed(document: Document) -> None:
    """Runs, latest first, and where they were written to."""
    runs = document["runs"]
    if "file" in document:
        console().print(f"{len(runs)} runs written to {escape(document['file'])}")
        return
    if not runs:
        console().print("No such runs; start with `veilcast demo`.")
        return
    table = Table(
        title="Runs; RMSE is evaluated on raw data, not a private release (of a stream: on what was "
        "released)",
        title_justify="left",
    )
    columns = ("run", "started (UTC)", "source", "model", "mechanism", "unit", "epsilon", "delta")
    for name in columns:
        table.add_column(name)
    for name in ("sigma", "RMSE", "persistence"):
        table.add_column(name, justify="right")
    for run in runs:
        guarantee = [number(run[name], "{:.4g}") for name in ("epsilon", "delta")]
        figures = [number(run[name], "{:.1f}") for name in ("sigma", "rmse", "persistence_rmse")]
        words = [
            str(run[name] or "–") for name in ("started", "source", "model", "mechanism", "unit")
        ]
        table.add_row(run["run_id"][:8], *map(escape, words), *guarantee, *figures)
    console().print(table)


def compared(document: Document) -> None:
    """Print how two runs differ."""
    out = console()
    names = [run[:8] for run in document["runs"]]
    table = Table(title="Settings that differ", title_justify="left")
    for name in ("setting", *names):
        table.add_column(name)
    for name, values in document["settings"].items():
        table.add_row(name, *("–" if value is None else escape(str(value)) for value in values))
    out.print(table)
    table = Table(title="Errors in persons, evaluated on raw data", title_justify="left")
    for name in ("error", *names, "ratio"):
        table.add_column(name, justify="left" if name == "error" else "right")
    for name, errors in document["errors"].items():
        table.add_row(
            name, *(f"{value:,.1f}" for value in errors["values"]), f"{errors['ratio']:.3f}"
        )
    out.print(table)


def ahead(document: Document) -> None:
    """A forecast of the next intervals."""
    table = Table(
        title=f"Next intervals of {escape(document['source'])}, in persons", title_justify="left"
    )
    table.add_column("region")
    for time in document["times"]:
        table.add_column(time, justify="right")
    ends = document["intervals"].get("0.9")
    for column, region in enumerate(document["regions"]):
        cells = [f"{row[column]:.1f}" for row in document["forecast"]]
        if ends:
            lows, highs = ([row[column] for row in ends[side]] for side in ("low", "high"))
            cells = [
                f"{cell} [dim]({low:.0f} to {high:.0f})[/]"
                for cell, low, high in zip(cells, lows, highs, strict=True)
            ]
        table.add_row(escape(region), *cells)
    out = console()
    out.print(table)
    if ends:
        out.print("[dim]in brackets: where nine counts of ten are expected[/]")
    out.print(f"[dim]{document['privacy']}[/]")


def _errors(scores: RunResult | BaselineErrors) -> list[str]:
    return [number(metric.mean, "{:,.1f}") for metric in (scores.rmse, scores.mae)]
