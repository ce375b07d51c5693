"""What people read of an audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from flows.cli.render.terminal import console

if TYPE_CHECKING:
    from flows.audit.attacks.promise import PromiseAudit


def audited(document: dict[str, Any]) -> None:
    """Measured beside claimed, attack by attack."""
    out = console()
    table = Table(
        title=f"Audit of {escape(document['audited'])}: {document['mechanism']}, {document['unit']}, "
        f"delta {document['delta']:g} ({document['neighbours']})",
        title_justify="left",
    )
    for name in ("what the attacker sees", "bound"):
        table.add_column(name)
    for name in ("canaries", "guesses", "right", "epsilon measured", "epsilon claimed"):
        table.add_column(name, justify="right")
    for one in document["measurements"]:
        table.add_row(
            escape(one["access"]),
            one["bound"],
            str(one["canaries"]),
            str(one["guesses"]),
            str(one["right"]),
            f"≥ {one['epsilon']:.3f}",
            f"{one['claimed']:.4g}",
        )
    out.print(table)
    out.print(
        f"[dim]each bound holds with confidence {document['confidence']:g}; the number of guesses "
        "was fixed before anything was drawn[/]"
    )
    if document["attacks"]:
        found = Table(title="Looking for a planted person", title_justify="left")
        for name in ("reads", "unit"):
            found.add_column(name)
        for name in ("trials", "right", "interval (99.9 %)", "promised at most"):
            found.add_column(name, justify="right")
        for one in document["attacks"]:
            found.add_row(
                one["reads"],
                one["unit"],
                str(one["trials"]),
                f"{one['right'] / one['trials']:.1%}",
                f"{one['low']:.1%} to {one['high']:.1%}",
                f"{one['promised']:.1%}",
            )
        out.print(found)
    verdict = (
        "[bold red]The claim is refuted: do not publish anything made by this mechanism.[/]"
        if document["refuted"]
        else "The claim is not refuted. An audit bounds from below: it finds faults, and proves nothing."
    )
    out.print(f"\n{verdict}")
    out.print(f"[dim]{document['data']}[/]")
    out.print(f"picture  {escape(document['figure'])}  ({document['seconds']} s)")


def attacked(audit: PromiseAudit) -> None:
    """Every attack with what it found."""
    out = console()
    table = Table(title="Attacks on what every run promises", title_justify="left")
    for name in ("attack", "tried", "has to hold", "found", ""):
        table.add_column(name)
    for one in audit.attempts:
        verdict = "[bold red]refuted[/]" if one.refutes else "holds"
        if one.works is False:
            verdict = "[bold red]does not work[/]"
        table.add_row(*map(escape, (one.kind, one.tried, one.claimed, one.found)), verdict)
    out.print(table)
    out.print(
        "[bold red]A claim is refuted: do not publish anything before it is mended.[/]"
        if audit.refuted
        else "No claim is refuted. Attacks find faults, and prove nothing."
    )
    out.print(f"[dim]{audit.data} ({audit.seconds} s)[/]")
