"""Commands for data: check a source, ingest its new intervals."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.options import (
    DATA,
    RECIPE,
    SOURCE,
    Delta,
    Epsilon,
    Json,
    Settings,
    errors,
    open_folders,
    show,
)

app = typer.Typer()


@app.command(rich_help_panel=DATA, epilog="For example: veilcast check counts.csv")
def check(
    source: Annotated[str, typer.Argument(help=SOURCE)],
    max_gap: Annotated[str, typer.Option(help="Longest gap that may be repaired.")] = "1d",
    events: Annotated[
        bool,
        typer.Option("--events", help="The source holds raw events: person, time, place."),
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="With --events: any recipe field, section.field=value."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the problems of a source, where they are and how to fix them; exit 1 if unusable."""
    with errors():
        from flows.cli.render import data as render
        from flows.pipeline.check import check_source

        if settings and not events:
            from flows.errors import UsageError

            raise UsageError("--set is for raw events; add --events, or leave it out")
        chosen = tuple(settings or []) if events else None
        document = check_source(source, max_gap, chosen)
        show(document, as_json, render.checked)
    raise typer.Exit(0 if document["usable"] else 1)


@app.command(
    rich_help_panel=DATA,
    epilog="For example: veilcast ingest counts.csv --unit user-day --epsilon 1",
)
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
            help="End of the period, such as 2024-03-01, or now: the last complete interval.",
            show_default="events.end; all rows of counts",
        ),
    ] = "",
    late: Annotated[
        str, typer.Option(help="How far back to look for late events; 0d for not at all.")
    ] = "2d",
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Append new intervals to the store, noised under a charge; stored ones never change."""
    with errors():
        from flows.errors import UsageError

        if (
            source is None
            and recipe is None
            and not any("source.name" in setting for setting in settings or [])
        ):
            raise UsageError(
                "which source? name one (veilcast ingest counts.csv), or give --recipe"
            )
        home = open_folders()
        from flows.cli.render import data as render
        from flows.recipe.load import compose
        from flows.recipe.recipe import from_dict
        from flows.stream.ingest import ingest as run

        options = {
            "source.name": source,
            "source.events": events or None,
            "privacy.unit": unit,
            "privacy.epsilon": epsilon,
            "privacy.delta": delta,
        }
        composed = from_dict(compose(recipe, options, settings or []))
        show(run(composed, home, until=until, late=late), as_json, render.ingested)
