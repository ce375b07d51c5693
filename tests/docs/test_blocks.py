"""What pages tell readers to type exists: commands, options, recipe fields, targets of make."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from docs.generate import DOCS, ROOT, commands
from docs.generate.blocks import NOT_RUN, Block, blocks
from docs.generate.outputs import PAGES
from flows.recipe.load import override
from flows.recipe.recipe import from_dict

ALL = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])
_FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(veilcast [^`]+)`")


def lines(page: Path) -> list[str]:
    """Command lines of a page, in blocks of any language and in sentences."""
    text = page.read_text()
    found = [line for block in blocks(text) if block.lang == "bash" for line in block.commands]
    for lang, body in _FENCED.findall(text):
        found += (
            [] if lang else Block("bash", "", body, 0).commands
        )  # a block that names no language
    return found + _INLINE.findall(_FENCED.sub("", text))


def wrong(line: str) -> str | None:
    """What a command line names that there is not; None if all of it exists."""
    words = shlex.split(line, comments=True)
    if words[:1] == ["make"]:
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        asked = [word for word in words[1:] if re.fullmatch(r"[a-z]+", word)]
        return next((f"make {one}" for one in asked if one not in targets), None)
    if words[:1] == ["python"] and len(words) > 1 and words[1].endswith(".py") and "/" in words[1]:
        return None if (ROOT / words[1]).exists() else words[1]
    if "veilcast" not in words:
        return None
    words = words[words.index("veilcast") + 1 :]
    known = commands.commands()
    name = next((" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in known), None)
    if name is None:
        groups = {one.split()[0] for one in known}
        bare = not words or words[0].startswith("-") or words[0].isupper() or words[0] in groups
        return None if bare or words[0].startswith(("budget", "stack")) else f"veilcast {words[0]}"
    options = [*commands.options(known[name]), "--help", "-h"]
    for word in words:
        if word in ("|", "&&", ";", "&"):
            break
        if word.startswith("--") and word.partition("=")[0] not in options:
            return f"veilcast {name} {word}"
    return None


@pytest.mark.parametrize("page", ALL, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_exist(page: Path) -> None:
    assert [found for line in lines(page) if (found := wrong(line))] == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("veilcast train --sauce counts.csv", "veilcast train --sauce"),
        ("veilcast trian", "veilcast trian"),
        ("make demos", "make demos"),
        ("python benchmarks/gone.py", "benchmarks/gone.py"),
        ("veilcast budget show --json", None),
    ],
)
def test_what_does_not_exist_is_found(line: str, found: str | None) -> None:
    assert wrong(line) == found


@pytest.mark.parametrize("page", ALL, ids=lambda page: str(page.relative_to(ROOT)))
def test_recipes_and_settings_are_accepted(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VEILCAST_SOURCE_PASSWORD", raising=False)
    text = page.read_text()
    for block in blocks(text):
        if block.lang == "toml":
            from_dict(tomllib.loads(block.body))
    for setting in re.findall(r"--set (\w+\.\w+=[\w.]+)", text):
        override({}, [setting])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_blocks_are_run_or_say_why_not(page: Path) -> None:
    for block in blocks(page.read_text()):
        if block.lang in ("bash", "python") and not block.run:
            assert block.file or block.title in NOT_RUN
        assert block.lang in ("bash", "python", "toml", "text", "sql"), block.lang
        assert not block.title or block.file or block.title in NOT_RUN or block.lang == "text"
