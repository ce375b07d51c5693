"""The report for people: one self-contained HTML page."""

from __future__ import annotations

import base64
from typing import Any

from data.findings import Finding
from flows.recipe.recipe import Recipe
from flows.runtime.templates import template


def statement_text(document: dict[str, Any]) -> str:
    """The statement of a run as Markdown."""
    return template("statement.md", escape=False).render(run=document)


def page(
    document: dict[str, Any],
    recipe: Recipe,
    findings: tuple[Finding, ...],
    figures: tuple[bytes, bytes],
    promises: tuple[bytes, bytes] | None,
) -> str:
    """The report of a run: what was promised, what came out, how it was done.

    Args:
        document: of the run.
        recipe: of the run.
        findings: about the source.
        figures: of the forecast, for wide and for narrow screens.
        promises: the promise as curves, likewise.
    """
    return template("report.html", escape=True).render(
        run=document,
        recipe=recipe.to_toml(),
        findings=[str(finding) for finding in findings],
        pictures=[base64.b64encode(one).decode() for one in figures],
        promises=[base64.b64encode(one).decode() for one in promises or ()],
        rivals={
            name: scores
            for name, scores in document["baselines"].items()
            if scores and name != document["model"]  # ridge is a model, too
        },
    )
