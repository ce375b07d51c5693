"""`python -m docs.generate [reference|results|outputs]...`: write what is generated.

`reference` (seconds): commands, recipes, the list of decisions. `results` (seconds): the table in
README.md, from docs/arcolezi2022.md. `outputs` (minutes): the blocks of the tutorial, the concepts and
the how-to pages are run, and what they print is put below them. The picture in README.md has a command
of its own: `python -m docs.generate.picture --help`.
"""

from __future__ import annotations

import sys

from docs.generate import DOCS, ROOT, commands, decisions, outputs, recipes, results


def reference() -> None:
    """Pages that come from the code alone."""
    (DOCS / "reference" / "commands.md").write_text(commands.page())
    (DOCS / "reference" / "recipes.md").write_text(recipes.page())
    (DOCS / "decisions" / "index.md").write_text(decisions.page(DOCS / "decisions"))


def measured() -> None:
    """The table of measured errors."""
    readme = ROOT / "README.md"
    readme.write_text(results.filled(readme.read_text(), (DOCS / "arcolezi2022.md").read_text()))


def shown() -> None:
    """What commands and snippets print, each page in an empty folder."""
    for page in outputs.PAGES:
        page.write_text(outputs.regenerated(page.read_text()))


WRITERS = {"reference": reference, "results": measured, "outputs": shown}

if __name__ == "__main__":
    for name in sys.argv[1:] or WRITERS:
        if name not in WRITERS:
            sys.exit(__doc__)
        WRITERS[name]()
