"""`veilcast ingest`."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.command import RECIPE, SOURCE, Delta, Epsilon, Json, Settings, errors, open_folders, show

app = typer.Typer()


@app.command(epilog="For example: veilcast ingest counts.csv --unit user-day --epsilon 1")
def ingest(
    source: Annotated[str | None, typer.Argument(help=SOURCE, show_default="the recipe's")] = None,
    recipe: Annotated[str | None, typer.Option(help=RECIPE)] = None,
    events: Annotated[
        bool,
        typer.Option("--events", help="The source holds raw events: person, time, place."),
    ] = False,
    unit: Annotated[
        str | None,
        typer.Option(
            help="user, user-week, user-day or user-interval.", show_default="the recipe's, or user"
        ),
    ] = None,
    epsilon: Epsilon = None,
    delta: Delta = None,
    until: Annotated[
        str,
        typer.Option(
            help="End of the period, say 2024-03-01; now: the last whole interval by the clock.",
            show_default="events.end; all rows of counts",
        ),
    ] = "",
    late: Annotated[
        str, typer.Option(help="How far back to look for late events; 0d: not.")
    ] = "2d",
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Bring new intervals into the store, noised under a charge; what is there never changes."""
    with errors():
        from flows.errors import UsageError

        if (
            source is None
            and recipe is None
            and not any("source.name" in one for one in settings or [])
        ):
            raise UsageError(
                "which source? name one (veilcast ingest counts.csv), or give --recipe"
            )
        home = open_folders()
        from flows import ingest_console
        from flows.recipe.load import compose
        from flows.recipe.recipe import from_dict
        from flows.stream.ingest import ingest as ingested

        options = {
            "source.name": source, "source.events": events or None, "privacy.unit": unit,
            "privacy.epsilon": epsilon, "privacy.delta": delta,
        }  # fmt: skip
        asked = from_dict(compose(recipe, options, settings or []))
        show(ingested(asked, home, until=until, late=late), as_json, ingest_console.ingested)
