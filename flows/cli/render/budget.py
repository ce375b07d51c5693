"""The ledger in the terminal."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from flows.cli.render.terminal import console
from flows.document import Document

_BAR = 20


def accounts(document: Document) -> None:
    """Print accounts, with bars of spent budget."""
    out = console()
    if not document["accounts"]:
        out.print("Nothing has been charged yet; start with `veilcast demo`.")
        return
    table = Table(title="Epsilon spent, for the most affected unit", title_justify="left")
    for name in ("data set", "unit", "neighbours"):
        table.add_column(name)
    for name in ("releases", "delta", "spent", "cap", "left"):
        table.add_column(name, justify="right")
    table.add_column("")
    for account in document["accounts"]:
        spent, cap = account["epsilon_spent"], account["cap"]
        table.add_row(
            escape(account["dataset"]),
            account["unit"],
            account["neighbours"],
            str(account["releases"]),
            f"{account['delta']:g}",
            "no promise" if spent is None else f"{spent:.4g}",
            "–" if cap is None else f"{cap['epsilon']:g}",
            "–" if account["epsilon_left"] is None else f"{account['epsilon_left']:.4g}",
            "" if cap is None or spent is None else _bar(spent / cap["epsilon"]),
        )
    out.print(table)
    if any(account["epsilon_spent"] is None for account in document["accounts"]):
        out.print("[dim]no promise: something was released whose noise cannot hide this unit[/]")


def entries(document: Document) -> None:
    """Print charges, oldest first."""
    out = console()
    if not document["entries"]:
        out.print("No charges.")
        return
    table = Table(title="Charges, oldest first; times in UTC", title_justify="left")
    for name in (
        "entry",
        "time",
        "data set",
        "unit",
        "purpose",
        "epsilon",
        "delta",
        "period",
        "state",
    ):
        table.add_column(name, justify="right" if name in ("entry", "epsilon", "delta") else "left")
    for entry in document["entries"]:
        period = entry["period"]
        table.add_row(
            str(entry["entry"]),
            entry["time"][:19].replace("T", " "),
            escape(entry["dataset"]),
            entry["unit"],
            entry["purpose"],
            f"in {entry['event']['group']}"
            if "group" in entry["event"]
            else f"{entry['epsilon']:.4g}",
            f"{entry['delta']:g}",
            f"{period['start'][:10]} to {period['end'][:10]}",
            entry["state"],
        )
    out.print(table)
    if any(entry["state"] == "committed" for entry in document["entries"]):
        out.print(
            "[dim]committed: noise may have been drawn and nothing was kept; it counts as spent[/]"
        )


def verdict(document: Document) -> None:
    """Print the outcome of a verification."""
    out = console()
    if document["holds"]:
        out.print(
            f"The ledger holds: {document['lines']} lines, chain and totals recomputed.\n"
            f"[dim]note this down to check against later: {document['head']}[/]"
        )
        return
    first = document["broken"][0]
    out.print(
        f"[bold red]The ledger was changed.[/] First at line {first['line']}: {first['what']}."
    )
    for broken in document["broken"][1:]:
        out.print(f"line {broken['line']}: {broken['what']}")


def _bar(share: float) -> str:
    full = min(_BAR, round(share * _BAR))
    colour = "red" if share > 0.9 else "yellow" if share > 0.6 else "green"
    return f"[{colour}]{'█' * full}[/][dim]{'░' * (_BAR - full)}[/] {share:.0%}"
