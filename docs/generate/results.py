"""The table of measured errors in README.md, from docs/arcolezi2022.md."""

from __future__ import annotations

import re

BEGIN, END = "<!-- results -->\n", "<!-- /results -->"
_CHOSEN = "(chosen)"


def filled(readme: str, report: str) -> str:
    """README with its table written anew.

    Raises:
        ValueError: the marks are missing, or the report does not hold what the table needs.
    """
    if BEGIN not in readme or END not in readme:
        raise ValueError(f"README.md has no {BEGIN.strip()} ... {END}")
    before, rest = readme.split(BEGIN)
    return before + BEGIN + table(report) + rest[rest.index(END) :]


def table(report: str) -> str:
    """Rows of each promise: the forecaster chosen before the test week, and the network."""
    honest = _rows(report, "Forecasts under honest selection")
    same = _rows(report, "Input or gradient perturbation?")
    rows = [
        (*_promise(guarantee), "**" + _plain(name) + "**" if _CHOSEN in name else name, error)
        for guarantee, name, _, error, *_ in honest
        if _CHOSEN in name or name == "bigru"
    ]
    shared = _promise(f"input, {_between(report, 'kept both ways: ', '. Noise')}")
    for name, error, _ in same:
        mechanism, forecaster = name.split(", ")
        rows.append((mechanism, *shared[1:], forecaster, error))
    rows.sort(key=lambda row: _ORDER.index(row[0]))
    if not rows or "gradient" not in {row[0] for row in rows}:
        raise ValueError("the report holds no errors under input and gradient perturbation")
    lines = [
        "| mechanism | unit | ε at δ = 1e-07 | forecaster | RMSE, persons |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    lines.append(
        f"| none, the paper's best, chosen on the test week | – | – | BiGRU | {_published(report)} |"
    )
    return "\n".join(lines) + "\n"


_ORDER = ("none", "input", "gradient")


def _promise(words: str) -> tuple[str, str, str]:
    """Mechanism, unit and epsilon of `input, user, ε = 1 at δ = 1e-07 (add or remove)`."""
    if words == "no privacy":
        return "none", "–", "–"
    found = re.fullmatch(r"(\w+), ([\w-]+), ε = ([\d.]+) at δ = 1e-07 \(add or remove\)", words)
    if not found:
        raise ValueError(f"the report says {words!r}, which the table cannot show")
    return found[1], f"`{found[2]}`", found[3]


def _rows(report: str, heading: str) -> list[list[str]]:
    """Cells of the first table below a heading, without its head."""
    section = _between(report, f"## {heading}\n", "\n## ")
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def _between(text: str, start: str, end: str) -> str:
    if start not in text:
        raise ValueError(f"the report has no {start.strip()!r}")
    rest = text.split(start, 1)[1]
    return rest.split(end, 1)[0]


def _published(report: str) -> str:
    return _between(report, "chosen on the test week, is ", ".\n").strip()


def _plain(name: str) -> str:
    return name.replace("*", "").replace(_CHOSEN, "").strip()
