"""The reference of recipes, from the values and docstrings of `flows/recipe/sections.py`."""

from __future__ import annotations

import types
from dataclasses import MISSING, Field, fields
from typing import Any, Union, get_args, get_origin, get_type_hints

import griffe
import tomlkit

from flows.recipe.defaults import with_defaults
from flows.recipe.recipe import Recipe

HEAD = """# Recipes

Generated from the values themselves (`flows/recipe/sections.py`). A recipe is a TOML file that holds
a whole run; what it leaves out has the usual value. `veilcast train paris` takes one of `recipes/`, and
`veilcast train mine.toml` your own; `--set section.field=value` changes a field of either. Unknown ones
are refused. The whole recipe of a run is among its files in MLflow (`recipe.toml`).

Where two usual values are given, the second is for `mechanism = "gradient"`. A field without a usual
value is left out (`None` below).
"""


def sections() -> dict[str, Any]:
    """The dataclass of every section, by name."""
    return {one.name: get_type_hints(Recipe)[one.name] for one in fields(Recipe)}


def page() -> str:
    """The page, as Markdown."""
    return HEAD + "".join(_section(name, kind) for name, kind in sections().items())


def described(kind: Any) -> dict[str, str]:
    """What the docstring of a section says of each field.

    Raises:
        ValueError: a field is not described, or what is described is no field.
    """
    parts = griffe.Docstring(kind.__doc__).parse("google", warnings=False)
    found = {
        one.name: " ".join(one.description.split())
        for part in parts
        if part.kind is griffe.DocstringSectionKind.attributes
        for one in part.value
    }
    known = {one.name for one in fields(kind)}
    if set(found) != known:
        raise ValueError(
            f"{kind.__name__}: its docstring and its fields differ: "
            f"{', '.join(sorted(known ^ set(found)))}"
        )
    return found


def _section(name: str, kind: Any) -> str:
    what = kind.__doc__.split("\n", 1)[0].strip().split(": ", 1)
    about = what[1] if len(what) > 1 else what[0]
    words, hints = described(kind), get_type_hints(kind)
    private = with_defaults({"privacy": {"mechanism": "gradient"}}).get(name, {})
    lines = [
        f"\n## `[{name}]`\n",
        f"{about[0].upper()}{about[1:]}\n",
        '<div class="fields" markdown>\n',
        "| field | value | usual | |",
        "|---|---|---|---|",
    ]
    for one in fields(kind):
        usual = _usual(one)
        if one.name in private and one.name != "mechanism" and _toml(private[one.name]) != usual:
            usual = f"{usual or 'none'}; {_toml(private[one.name])}"
        lines.append(
            f"| `{one.name}` | {_type(hints[one.name])} | {usual} | {_cell(words[one.name])} |"
        )
    return "\n".join([*lines, "\n</div>\n"])


def _usual(one: Field[Any]) -> str:
    value = one.default if one.default_factory is MISSING else one.default_factory()
    return "" if value is None else _toml(value)


def _toml(value: Any) -> str:
    return f"`{tomlkit.item(list(value) if isinstance(value, tuple) else value).as_string()}`"


def _type(hint: Any) -> str:
    plain = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if hint in plain:
        return plain[hint]
    origin, inner = get_origin(hint), [one for one in get_args(hint) if one is not type(None)]
    if origin in (Union, types.UnionType):
        return " or ".join(_type(one) for one in inner)
    if origin is tuple:
        return f"list of {_type(inner[0])}"
    return "table" if origin is dict else str(hint)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
