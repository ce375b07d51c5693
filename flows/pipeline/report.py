"""The report for people: one self-contained HTML page."""

from __future__ import annotations

import base64
from dataclasses import asdict

from data.findings import Finding
from flows.pipeline.result import RunResult
from flows.recipe.recipe import Recipe
from flows.runtime.templates import template


def statement_text(result: RunResult) -> str:
    """The statement of a run as Markdown."""
    return template("statement.md", escape=False).render(run=result.to_dict())


def page(
    result: RunResult,
    recipe: Recipe,
    findings: tuple[Finding, ...],
    figures: tuple[bytes, bytes],
    promises: tuple[bytes, bytes] | None,
) -> str:
    """The report of a run: what was promised, what came out, how it was done.

    Args:
        result: of the run.
        recipe: of the run.
        findings: about the source.
        figures: of the forecast, for wide and for narrow screens.
        promises: the promise as curves, likewise.
    """
    return template("report.html", escape=True).render(
        run=result.to_dict(),
        recipe=recipe.to_toml(),
        findings=[str(finding) for finding in findings],
        pictures=[base64.b64encode(one).decode() for one in figures],
        promises=[base64.b64encode(one).decode() for one in promises or ()],
        rivals={name: asdict(errors) for name, errors in result.rivals.items()},
    )
