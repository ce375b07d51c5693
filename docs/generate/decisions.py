"""The list of decisions, from their titles."""

from __future__ import annotations

import re
from pathlib import Path

HEAD = """# Decisions

What others would wonder about, one page each: what was decided, why, and what was seen on the way.

"""


def page(folder: Path) -> str:
    """The page, as Markdown."""
    lines = []
    for path in sorted(folder.glob("[0-9]*.md")):
        title = path.read_text().split("\n", 1)[0].removeprefix("# ")
        number, text = re.match(r"(\d+):? (.*)", title).groups()  # type: ignore[union-attr]
        lines.append(f"- [{number}]({path.name}) {text[0].upper()}{text[1:]}")
    return HEAD + "\n".join(lines) + "\n"
