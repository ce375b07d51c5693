"""Loading of recipes: from files, command options and `--set`."""

from __future__ import annotations

import os
from pathlib import Path

import tomlkit

from data.sources.credentials import shown
from flows.document import Document
from flows.errors import UsageError
from flows.recipe.recipe import from_dict


def load(name: str) -> Document:
    """Read the values of a recipe: a path, or the name of a recipe that comes with the package.

    Raises:
        UsageError: there is no such recipe, or it is not TOML.
    """
    path = Path(name)
    if path.suffix != ".toml":
        path = (
            recipe_folder() / f"{path.name}.toml" if name == path.name else Path("no such recipe")
        )
    try:
        return tomlkit.parse(path.read_text()).unwrap()
    except FileNotFoundError:
        if "://" in name:  # not quoted: it may hold a password
            raise UsageError("a URL is a source, not a recipe; write --source URL#table") from None
        if name.lower().endswith((".csv", ".csv.gz", ".parquet", ".pq")):
            raise UsageError(f"{name!r} is a source, not a recipe; write --source {name}") from None
        known = sorted(file.stem for file in recipe_folder().glob("*.toml"))
        raise UsageError(
            f"no recipe {shown(name)!r}; give the path of a .toml file or one of {', '.join(known)}"
        ) from None
    except (OSError, UnicodeDecodeError, tomlkit.exceptions.TOMLKitError) as error:
        raise UsageError(f"recipe {path}: {error}") from None


def override(values: Document, settings: list[str]) -> Document:
    """Return values overridden by `section.field=value` settings, read as TOML or else as text."""
    result = {section: dict(fields) for section, fields in values.items()}
    for setting in settings:
        path, equals, text = setting.partition("=")
        section, dot, name = path.strip().partition(".")
        if not (equals and dot and name):
            raise UsageError(f"expected --set {shown(setting)!r} to read section.field=value")
        try:
            value = tomlkit.value(text.strip()).unwrap()
        except tomlkit.exceptions.TOMLKitError:
            value = text.strip()
        result.setdefault(section, {})[name] = value
    return result


def compose(name: str | None, options: Document, settings: list[str]) -> Document:
    """Return the checked values of a recipe, overridden by settings and then by options.

    Args:
        name: a recipe's name or path; None for the defaults.
        options: values by `section.field`; None where an option was not given.
        settings: `section.field=value`, from `--set`.

    Raises:
        UsageError: an unknown recipe, field or value.
    """
    values = override(load(name) if name else {}, settings)
    for path, value in options.items():
        section, _, field_name = path.partition(".")
        if value is not None:
            values.setdefault(section, {})[field_name] = value
    return from_dict(values).to_dict()


def recipe_folder() -> Path:
    """Return the folder of recipes: beside the packages in a clone, inside `flows` in a wheel."""
    here = Path(os.path.abspath(__file__)).parents[1]
    inside = here / "recipes"
    return inside if inside.is_dir() else here.parent / "recipes"
