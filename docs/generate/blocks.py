"""Fenced blocks of a page, and how they are tried out."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(
    r"^```(?P<lang>[a-z]+)(?: title=\"(?P<title>[^\"]*)\")?\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
NOT_RUN = (
    "sets itself up",
    "needs the published data",
    "needs PostgreSQL",
    "starts servers",
    "takes minutes",
)
"""Titles of blocks that no test runs; their commands, options and targets must exist all the same."""
NOISED = "your noise will differ"
"""Title of an output in which numbers come from a draw of noise."""


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        lang: `bash`, `python`, `toml`, `text`, ...
        title: of the block; of a `python` or `toml` block the file it is, of an output what to expect.
        body: its lines.
        start: where the body begins in the page.
    """

    lang: str
    title: str
    body: str
    start: int

    @property
    def run(self) -> bool:
        """Whether a reader runs it, and so does the test."""
        return self.lang in ("bash", "python") and self.title not in NOT_RUN and not self.file

    @property
    def file(self) -> str | None:
        """The file that the block is the content of."""
        return self.title if re.fullmatch(r"[\w-]+\.(py|toml|csv)", self.title) else None

    @property
    def commands(self) -> list[str]:
        """Lines of a `bash` block as the shell reads them, without comments."""
        joined = self.body.replace("\\\n", " ")
        lines = (re.sub(r"(^|\s)# .*| #$", "", line).strip() for line in joined.splitlines())
        return [line for line in lines if line]


@dataclass(frozen=True)
class Example:
    """A block, and the output that is shown for it.

    Attributes:
        block: what is run or written to a file.
        output: the `text` block right below; None if none is shown.
    """

    block: Block
    output: Block | None


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    return [
        Block(one["lang"], one["title"] or "", one["body"], one.start("body"))
        for one in _FENCE.finditer(page)
    ]


def examples(page: str) -> list[Example]:
    """Blocks that are files or are run, each with its output."""
    found = blocks(page)
    after = [*found, None][1:]
    return [
        Example(one, following if following and following.lang == "text" and one.run else None)
        for one, following in zip(found, after, strict=True)
        if one.run or one.file
    ]


def stable(output: str, title: str = "") -> str:
    """What is the same in every run: no ids, moments, paths, versions; no drawn number if noised."""
    text = re.sub(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b|\b[0-9a-f]{8}\b", "<id>", output)
    text = re.sub(r"\(\d+(\.\d+)? s\)", "(<seconds>)", text)
    text = re.sub(r"\b\d+\.\d+\.\d+\b", "<version>", text)
    text = re.sub(r"\b20[2-9]\d-\d\d-\d\d \d\d:\d\d(:\d\d)?\b", _moment, text)
    text = re.sub(r"\S*/(?=(reports|var)/)", "", text)
    if title == NOISED:
        text = re.sub(r"\(\d+ to \d+\)", "(<range>)", text)
        text = re.sub(r"\d[\d,]*\.\d+", "<drawn>", text)
    lines = [" ".join(re.sub("[─-╿]", " ", line).split()) for line in text.splitlines()]
    if title == NOISED:
        lines.sort()  # rows come in the order of what was drawn
    return "\n".join(line for line in lines if line)


def _moment(found: re.Match[str]) -> str:
    """Dates of the made-up city stay, those of today do not."""
    return found[0] if found[0].startswith("2024-") else "<now>"
