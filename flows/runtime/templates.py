"""Templates of pages and statements, with their common filters."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from flows.document import Document

if TYPE_CHECKING:
    from jinja2 import Template


def template(name: str, *, escape: bool) -> Template:
    """Load a template of this package; `figure` and `persons` format numbers, `code` versions."""
    from jinja2 import Environment

    environment = Environment(autoescape=escape, trim_blocks=True, lstrip_blocks=True)  # noqa: S701
    environment.filters["figure"] = lambda value: "–" if value is None else f"{value:,.4g}"
    environment.filters["persons"] = lambda value: "–" if value is None else f"{value:,.1f}"
    environment.filters["code"] = _code
    return environment.from_string(
        resources.files("flows").joinpath(f"templates/{name}").read_text()
    )


def _code(version: Document, *, commit: bool = False) -> str:
    """Return package and libraries with their versions; the commit only where a line may grow."""
    package = f"veilcast {version['veilcast'] or 'of unknown version'}"
    if commit and version["commit"]:
        changes = ", with uncommitted changes" if version["uncommitted_changes"] else ""
        package += f" (commit {version['commit'][:12]}{changes})"
    parts = [f"Python {'.'.join(version['python'].split('.')[:2])}"]
    parts += [f"{name} {number}" for name, number in version["libraries"].items() if number]
    return f"{package}, {', '.join(parts)}"
