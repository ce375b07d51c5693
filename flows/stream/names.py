"""What a stream is called: in the store, in the ledger, of its models."""

from __future__ import annotations

from data.sources.credentials import HINT, expanded, shown, without_secrets
from data.store import open_store, released_until, rename_panel
from flows.errors import UsageError
from flows.pipeline.privatise import aliases
from flows.recipe.recipe import Recipe
from flows.settings import Home


def name_of(recipe: Recipe) -> str:
    """Name of the stream, by its recipe alone.

    Raises:
        UsageError: the recipe cannot be a stream's.
    """
    if recipe.privacy.mechanism != "input":
        raise UsageError(
            f"mechanism={recipe.privacy.mechanism}: what a schedule writes is read by many, so only "
            "released counts may go into it; set privacy.mechanism=input, and train with the others "
            "by `veilcast train`"
        )
    name = recipe.stream.name or recipe.source.account
    if name:
        return name
    plain = shown(recipe.source.name).rpartition("://")[2]
    if plain in ("…", "the URL", "the source"):
        raise UsageError(
            f"a stream is called by its source, whose URL can be read in more than one way ({HINT}); or "
            "name it (stream.name)"
        )
    return plain


def in_use(recipe: Recipe, home: Home) -> str:
    """Name of the stream in this home: the one that the store knows it by.

    Earlier versions left the query of a URL in the name. Where a panel has such a name it goes on
    with it, unless a secret is in it: then the panel is given the name that it has now.

    Raises:
        UsageError: the recipe cannot be a stream's.
    """
    name, store = name_of(recipe), open_store(home.database_url)
    if recipe.stream.name or recipe.source.account or released_until(store, name) is not None:
        return name
    for earlier in earlier_names(recipe):
        if released_until(store, earlier) is not None:
            if not _holds_a_secret(earlier, recipe):
                return earlier
            rename_panel(store, earlier, name)
            break
    return name


def earlier_names(recipe: Recipe) -> tuple[str, ...]:
    """What earlier versions called the stream of a source that nobody has named."""
    source, now = recipe.source.name, name_of(recipe)
    if recipe.stream.name or recipe.source.account:
        return ()
    names = (one.rpartition("@")[2].rpartition("://")[2] for one in (source, expanded(source)))
    return tuple(dict.fromkeys(one for one in names if one != now))


def known_by(recipe: Recipe, stream: str) -> tuple[str, ...]:
    """Names by which the ledger knows the stream's data set, without those that hold a secret."""
    before = (one for one in earlier_names(recipe) if not _holds_a_secret(one, recipe))
    return (*aliases(recipe), stream, *before)


def dataset_of(recipe: Recipe, called: str) -> str:
    """The data set that the stream is charged to: the same that a training on its source is.

    Args:
        recipe: of the stream.
        called: what the reader calls the source (`Table.name`).
    """
    return recipe.source.account or called


def _holds_a_secret(name: str, recipe: Recipe) -> bool:
    secrets = without_secrets(expanded(recipe.source.name))[1].values()
    return any(one in name for one in secrets)
