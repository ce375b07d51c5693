"""Every command, option and recipe field is documented, and what is generated is current."""

import re
from dataclasses import dataclass, fields

import pytest

from docs.generate import DOCS, ROOT, commands, decisions, recipes, results

WRITE = "it is not current; run `python -m docs.generate reference results`"


@pytest.mark.parametrize("name", commands.commands())
def test_every_command_and_option_is_in_the_reference(name: str) -> None:
    page = (DOCS / "reference" / "commands.md").read_text()
    section = page.split(f"## `veilcast {name}`\n", 1)[1].split("\n## ", 1)[0]
    command = commands.commands()[name]
    assert command.help
    for param in command.params:
        rows = [
            line
            for line in section.splitlines()
            if line.startswith(f"| `{param.name.upper()}`")
            or any(f"`{one}`" in line.split(" | ")[0] for one in param.opts)
        ]
        assert len(rows) == 1, param.name
        assert rows[0].split(" | ")[3].strip(" |"), f"veilcast {name} {param.name} has no help"


@pytest.mark.parametrize("section", recipes.sections())
def test_every_recipe_field_is_in_the_reference(section: str) -> None:
    page = (DOCS / "reference" / "recipes.md").read_text()
    part = page.split(f"## `[{section}]`\n", 1)[1].split("\n## ", 1)[0]
    for one in fields(recipes.sections()[section]):
        row = re.search(rf"^\| `{one.name}` \| .* \| (?P<words>[^|]+) \|$", part, re.MULTILINE)
        assert row, f"{section}.{one.name}"
        assert len(row["words"].split()) > 1


def test_the_reference_is_current() -> None:
    assert (DOCS / "reference" / "commands.md").read_text() == commands.page(), WRITE
    assert (DOCS / "reference" / "recipes.md").read_text() == recipes.page(), WRITE
    assert (DOCS / "decisions" / "index.md").read_text() == decisions.page(DOCS / "decisions"), (
        WRITE
    )


def test_the_table_in_readme_is_what_was_measured() -> None:
    readme = (ROOT / "README.md").read_text()
    report = (DOCS / "arcolezi2022.md").read_text()
    assert readme == results.filled(readme, report), WRITE
    # ... and it would notice another report
    figure = re.search(r"\*\*blend\*\* \(chosen\) \| [\d.]+ \| ([\d.]+) ±", report)
    assert figure
    other = report.replace(figure[1], "1.5")
    assert "1.5 ±" in results.table(other)
    assert results.filled(readme, other) != readme


def test_a_report_without_the_figures_is_refused() -> None:
    report = (DOCS / "arcolezi2022.md").read_text()
    with pytest.raises(ValueError, match="Input or gradient"):
        results.table(report.replace("## Input or gradient perturbation?", "## Something else"))
    with pytest.raises(ValueError, match="cannot show"):
        results.table(report.replace("input, user, ε = 1 at", "input, user, roughly 1 at"))


def test_a_field_that_nobody_describes_is_refused() -> None:
    @dataclass
    class Config:
        """`[config]`: a section.

        Attributes:
            one: described.
        """

        one: int = 1
        two: int = 2

    with pytest.raises(ValueError, match="two"):
        recipes.described(Config)


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
