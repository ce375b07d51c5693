"""Names of a stream: in the store, in the ledger, and of its models."""

from __future__ import annotations

from data.sources.credentials import HINT, expanded, shown, without_secrets
from data.store import open_store, released_until, rename_panel
from flows.errors import UsageError
from flows.pipeline.privatise import aliases
from flows.recipe.recipe import Recipe
from flows.settings import Home


def name_of(recipe: Recipe) -> str:
    """Return the name of the stream, from its recipe alone.

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
    """Return the name by which the store of this home knows the stream.

    Earlier versions left the query of a URL in the name. A panel with such a name keeps it, unless it
    contains a secret: then the panel is renamed.

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
    """Return the names that earlier versions gave a stream without a name in its recipe."""
    source, current = recipe.source.name, name_of(recipe)
    if recipe.stream.name or recipe.source.account:
        return ()
    names = (url.rpartition("@")[2].rpartition("://")[2] for url in (source, expanded(source)))
    return tuple(dict.fromkeys(name for name in names if name != current))


def known_by(recipe: Recipe, stream: str) -> tuple[str, ...]:
    """Return the ledger's names of the stream's data set, without those that contain a secret."""
    earlier = (name for name in earlier_names(recipe) if not _holds_a_secret(name, recipe))
    return (*aliases(recipe), stream, *earlier)


def dataset_of(recipe: Recipe, called: str) -> str:
    """Return the data set that the stream is charged to: that of a training on its source.

    Args:
        recipe: of the stream.
        called: the reader's name of the source (`Table.name`).
    """
    return recipe.source.account or called


def _holds_a_secret(name: str, recipe: Recipe) -> bool:
    secrets = without_secrets(expanded(recipe.source.name))[1].values()
    return any(secret in name for secret in secrets)
