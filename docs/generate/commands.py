"""The reference of the command line, from the Typer app itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import typer.main

from flows.cli.app import app

HEAD = """# Commands

Generated from the command line itself; `veilcast COMMAND --help` says the same. `--json` prints one
document on stdout, progress and errors go to stderr. Exit codes: 0 ok, 1 failed, 2 usage, 3 budget
refused, 130 stopped (Ctrl-C, or a scheduler that asked for it).
"""


@cache
def commands() -> dict[str, Any]:
    """Every command by its full name (`budget show`), in the order of `--help`."""
    return dict(_leaves(typer.main.get_command(app), ()))


def options(command: Any) -> list[str]:
    """All spellings of a command's options."""
    return [one for param in command.params for one in _spellings(param) if one.startswith("-")]


def page() -> str:
    """The page, as Markdown."""
    found = commands()
    parts = [HEAD, "| command | does |\n|---|---|"]
    for name, command in found.items():
        anchor = f"veilcast-{name}".replace(" ", "-")
        parts[-1] += f"\n| [`{name}`](#{anchor}) | {_cell(_first(command))} |"
    parts += [_section(name, command) for name, command in found.items()]
    return "\n".join(parts) + "\n"


def _leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield " ".join(path), command
        return
    for name, child in children.items():
        yield from _leaves(child, (*path, name))


def _section(name: str, command: Any) -> str:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    usage = " ".join(
        one.name.upper() if one.required else f"[{one.name.upper()}]" for one in arguments
    )
    lines = [
        f"\n## `veilcast {name}`\n",
        f"{command.help}\n",
        f"```text\nveilcast {' '.join(part for part in (name, usage, '[OPTIONS]') if part)}\n```\n",
        '<div class="fields" markdown>\n',
        "| argument or option | value | usual | |",
        "|---|---|---|---|",
    ]
    lines += [_row(param) for param in command.params]
    return "\n".join([*lines, "\n</div>"])


def _row(param: Any) -> str:
    if param.param_type_name == "argument":
        names = f"`{param.name.upper()}`"
    else:
        names = ", ".join(f"`{one}`" for one in _spellings(param))
    value = "" if getattr(param, "is_flag", False) else _value(param)
    usual = param.default
    if usual is None or usual == "" or usual is False:
        usual = "needed" if param.required else ""
    elif usual is True:
        usual = f"`{param.opts[0]}`"
    else:
        usual = f"`{usual}`"
    return f"| {names} | {value} | {usual} | {_cell(param.help or '')} |"


def _spellings(param: Any) -> list[str]:
    return [*param.opts, *param.secondary_opts]


def _value(param: Any) -> str:
    kind = param.type_descriptor.annotation
    words = {str: "text", int: "whole number", float: "number", Path: "path"}
    word = words.get(kind, "text")
    if param.nargs > 1:
        word = " ".join([word] * param.nargs)
    if param.min is not None:
        word += (
            f", {param.min:g} to {param.max:g}"
            if param.max is not None
            else f", {param.min:g} or more"
        )
    return word + (", may be repeated" if param.multiple else "")


def _first(command: Any) -> str:
    return str(command.help).split("\n", 1)[0]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
