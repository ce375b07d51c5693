"""What people read in the terminal: tables on stdout, one clear line on stderr."""

from __future__ import annotations

import json
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

from flows.errors import UsageError

_SHOWN = 5
"""Findings of one rule, for as many columns."""


def complain(message: str) -> None:
    """One message on stderr."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        f"[bold red]error:[/] {escape(message)}"
    )


def trained(document: dict[str, Any]) -> None:
    """The outcome of a training run."""
    console = _console()
    table = Table(title="Forecast error in persons, mean over regions", title_justify="left")
    for name, kind in (("forecast", "left"), ("RMSE", "right"), ("MAE", "right")):
        table.add_column(name, justify=kind)  # type: ignore[arg-type]
    table.add_row(f"[bold]{document['model']}[/]", *_errors(document))
    for name, scores in document["baselines"].items():
        if scores and name != document["model"]:  # ridge is a model, too
            table.add_row(name.replace("_", " "), *_errors(scores))
    console.print(table)
    console.print(f"[dim]{document['evaluation']}; test {document['test']['from']} "
                  f"to {document['test']['to']}[/]")  # fmt: skip
    console.print(f"\n{escape(document['statement']['text'])}")
    for gap in document["statement"].get("not_covered", []):
        console.print(f"[dim]not covered: {escape(gap)}[/]")
    if document["proof"] is not None:
        held = "holds" if document["proof"]["holds"] else "[red]failed[/]"
        console.print(f"Proof of noise {held} ({len(document['proof']['checks'])} checks).")
    for warning in document["statement"].get("warnings", []):
        console.print(f"[yellow]warning:[/] {warning}")
    if document["ledger_entry"] is not None and document["unit"] is not None:
        spent = document["statement"]["epsilon_spent_on_data_set"]
        console.print(
            f"Charged as ledger entry {document['ledger_entry']}; spent so far on "
            f"{escape(document['source'])}, {document['unit']}: epsilon {spent:.4g} at delta "
            f"{document['delta']:g}."
        )
    console.print(f"\nreport   {escape(document['report'])}")
    console.print(f"picture  {escape(document['figure'])}")
    console.print(f"run      {document['run_id']}  ({document['seconds']} s)")
    console.print(
        f"[dim]next: veilcast forecast {document['run_id'][:8]}, veilcast runs, veilcast ui[/]"
    )


def read_statement(files: Path) -> dict[str, Any]:
    """The statement among a run's files, with its text for people."""
    try:
        found: dict[str, Any] = json.loads((files / "statement.json").read_text())
        return {**found, "markdown": (files / "statement.md").read_text()}
    except FileNotFoundError as error:
        raise UsageError(
            f"this run has no {Path(error.filename).name}; it is from an older veilcast, train again"
        ) from None


def statement(document: dict[str, Any]) -> None:
    """A statement, as pages of text."""
    Console(width=min(100, Console().width)).print(Markdown(document["markdown"]))


def listed(document: dict[str, Any]) -> None:
    """Runs, latest first, and where they were written to."""
    runs = document["runs"]
    if "file" in document:
        _console().print(f"{len(runs)} runs written to {escape(document['file'])}")
        return
    if not runs:
        _console().print("No such runs; start with `veilcast demo`.")
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
        promise = [_number(run[name], "{:.4g}") for name in ("epsilon", "delta")]
        figures = [_number(run[name], "{:.1f}") for name in ("sigma", "rmse", "persistence_rmse")]
        words = [
            str(run[name] or "–") for name in ("started", "source", "model", "mechanism", "unit")
        ]
        table.add_row(run["run_id"][:8], *map(escape, words), *promise, *figures)
    _console().print(table)


def compared(document: dict[str, Any]) -> None:
    """How two runs differ."""
    console = _console()
    names = [run[:8] for run in document["runs"]]
    table = Table(title="Settings that differ", title_justify="left")
    for name in ("setting", *names):
        table.add_column(name)
    for name, values in document["settings"].items():
        table.add_row(name, *("–" if value is None else escape(str(value)) for value in values))
    console.print(table)
    table = Table(title="Errors in persons, evaluated on raw data", title_justify="left")
    for name in ("error", *names, "ratio"):
        table.add_column(name, justify="left" if name == "error" else "right")
    for name, found in document["errors"].items():
        table.add_row(
            name, *(f"{value:,.1f}" for value in found["values"]), f"{found['ratio']:.3f}"
        )
    console.print(table)


def ahead(document: dict[str, Any]) -> None:
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
            cells = [f"{cell} [dim]({low:.0f} to {high:.0f})[/]"
                     for cell, low, high in zip(cells, lows, highs, strict=True)]  # fmt: skip
        table.add_row(escape(region), *cells)
    console = _console()
    console.print(table)
    if ends:
        console.print("[dim]in brackets: where nine counts of ten are expected[/]")
    console.print(f"[dim]{document['privacy']}[/]")


def checked(document: dict[str, Any]) -> None:
    """The findings about a source."""
    console = _console()
    colours = {"error": "red", "warning": "yellow", "note": "cyan"}
    for (severity, rule), group in groupby(
        document["findings"], key=lambda one: (one["severity"], one["rule"])
    ):
        several = list(group)
        for finding in several[:_SHOWN]:
            mark = f" [dim]({finding['release']})[/]" if finding["release"] else ""
            console.print(f"[{colours[severity]}]{severity}[/] {escape(finding['text'])}{mark}")
        if len(several) > _SHOWN:
            console.print(f"[dim]{rule}: the same in {len(several) - _SHOWN} more columns[/]")
    if any(finding["rows"] for finding in document["findings"]):
        console.print("[dim]rows are counted from 0, below the header: row 0 is line 2 of a CSV[/]")
    if not document["usable"]:
        console.print(f"{escape(document['source'])}: not usable until the errors are mended")
    if document["usable"]:
        console.print(
            f"{escape(document['source'])}: usable, {document['intervals']} observed intervals of "
            f"{document['interval']}, {len(document['regions'])} regions "
            f"({escape(', '.join(document['regions'][:8]))}"
            f"{', …' if len(document['regions']) > 8 else ''})"
        )
        if document["undeclared"]:
            console.print(
                "[dim]read off raw events, not a private release: "
                f"{', '.join(document['undeclared'])}; declare them to run under a mechanism[/]"
            )


def _errors(scores: dict[str, Any]) -> list[str]:
    return [f"{scores[name]['mean']:,.1f}" for name in ("rmse", "mae")]


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _console() -> Console:
    """Tables keep their columns when they are piped into a file."""
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
