"""`veilcast ingest`."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.command import Json, errors, open_folders, show

app = typer.Typer()


@app.command()
def ingest(
    source: Annotated[
        str | None, typer.Argument(help="What --source of train takes; by default the recipe's.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Recipe: a .toml file or a name.")] = None,
    events: Annotated[
        bool,
        typer.Option("--events", help="The source holds raw events: person, time, place."),
    ] = False,
    unit: Annotated[
        str | None, typer.Option(help="user, user-week, user-day or user-interval.")
    ] = None,
    epsilon: Annotated[float | None, typer.Option(help="Privacy budget for one unit.")] = None,
    delta: Annotated[float | None, typer.Option(help="Well below 1 / persons.")] = None,
    until: Annotated[
        str, typer.Option(help="End of the period; by default, up to the last whole interval.")
    ] = "",
    late: Annotated[
        str, typer.Option(help="How far back to look for late events; 0d: not.")
    ] = "2d",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Any recipe field: section.field=value.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring new intervals into the store, noised under a charge; what is there never changes."""
    with errors():
        home = open_folders()
        from flows import ingest_console
        from flows.compose import compose
        from flows.ingest import ingest as ingested
        from flows.recipe import from_dict

        options = {
            "source.name": source, "source.events": events or None, "privacy.unit": unit,
            "privacy.epsilon": epsilon, "privacy.delta": delta,
        }  # fmt: skip
        asked = from_dict(compose(recipe, options, settings or []))
        show(ingested(asked, home, until=until, late=late), as_json, ingest_console.ingested)
