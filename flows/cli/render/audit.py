"""Audits in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from flows.cli.render.terminal import console
from flows.document import Document

if TYPE_CHECKING:
    from flows.audit.attacks.promise import PromiseAudit


def audited(document: Document) -> None:
    """Print measured and claimed epsilon, attack by attack."""
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
    for measured in document["measurements"]:
        table.add_row(
            escape(measured["access"]),
            measured["bound"],
            str(measured["canaries"]),
            str(measured["guesses"]),
            str(measured["right"]),
            f"≥ {measured['epsilon']:.3f}",
            f"{measured['claimed']:.4g}",
        )
    out.print(table)
    out.print(
        f"[dim]each bound holds with confidence {document['confidence']:g}; the number of guesses "
        "was fixed before anything was drawn[/]"
    )
    if document["attacks"]:
        attacks = Table(title="Looking for a planted person", title_justify="left")
        for name in ("reads", "unit"):
            attacks.add_column(name)
        for name in ("trials", "right", "interval (99.9 %)", "promised at most"):
            attacks.add_column(name, justify="right")
        for attack in document["attacks"]:
            attacks.add_row(
                attack["reads"],
                attack["unit"],
                str(attack["trials"]),
                f"{attack['right'] / attack['trials']:.1%}",
                f"{attack['low']:.1%} to {attack['high']:.1%}",
                f"{attack['promised']:.1%}",
            )
        out.print(attacks)
    verdict = (
        "[bold red]The claim is refuted: do not publish anything made by this mechanism.[/]"
        if document["refuted"]
        else "The claim is not refuted. An audit bounds from below: it finds faults, and proves nothing."
    )
    out.print(f"\n{verdict}")
    out.print(f"[dim]{document['data']}[/]")
    out.print(f"picture  {escape(document['figure'])}  ({document['seconds']} s)")


def attacked(audit: PromiseAudit) -> None:
    """Print every attack with its result."""
    out = console()
    table = Table(title="Attacks on what every run promises", title_justify="left")
    for name in ("attack", "tried", "has to hold", "found", ""):
        table.add_column(name)
    for attempt in audit.attempts:
        verdict = "[bold red]refuted[/]" if attempt.refutes else "holds"
        if attempt.works is False:
            verdict = "[bold red]does not work[/]"
        texts = attempt.kind, attempt.tried, attempt.claimed, attempt.found
        table.add_row(*map(escape, texts), verdict)
    out.print(table)
    out.print(
        "[bold red]A claim is refuted: do not publish anything before it is fixed.[/]"
        if audit.refuted
        else "No claim is refuted. Attacks find faults, and prove nothing."
    )
    out.print(f"[dim]{audit.data} ({audit.seconds} s)[/]")
