"""`veilcast plan`: what a guarantee will cost, before anything is charged."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.options import (
    DELTA,
    PROMISE,
    SOURCE,
    Json,
    errors,
    names,
    number,
    open_folders,
    show,
)
from flows.settings import Home

app = typer.Typer()


@app.command(
    rich_help_panel=PROMISE,
    epilog="For example: veilcast plan counts.csv --size 1200 --regions-per-interval 1",
)
def plan(
    source: Annotated[str, typer.Argument(help=SOURCE)],
    unit: Annotated[
        str | None,
        typer.Option(
            help="Units, separated by commas.",
            show_default="user,user-day; with --events user-day",
        ),
    ] = None,
    epsilon: Annotated[
        str | None,
        typer.Option(help="Budgets, separated by commas.", show_default="0.5,1,2; with --events 1"),
    ] = None,
    delta: Annotated[float, typer.Option(help=DELTA)] = 1e-7,
    size: Annotated[
        list[str] | None,
        typer.Option(help="Usual count: 1000 for all regions, or region=1000; repeat it."),
    ] = None,
    intervals_per_unit: Annotated[
        int | None, typer.Option(help="K, intervals in which one unit is counted at most.", min=1)
    ] = None,
    regions_per_interval: Annotated[
        int | None, typer.Option(help="M, regions that count one person in an interval.", min=1)
    ] = None,
    events: Annotated[
        bool, typer.Option("--events", help="Raw events: what each K cuts, and its noise.")
    ] = False,
    charge: Annotated[
        float | None,
        typer.Option(help="With --events: epsilon to spend on how often people are seen."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="With --events: any recipe field, section.field=value."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Expected error under each promise, before anything is drawn or charged."""
    with errors():
        home = open_folders()
        if events:
            _plan_events(
                home,
                source,
                unit or "user-day",
                epsilon or "1",
                delta,
                intervals_per_unit,
                regions_per_interval,
                charge,
                settings or [],
                as_json,
            )
            return
        from flows.cli.render import compare as render
        from flows.planning.expected_error import plan as planned

        document = planned(
            source,
            units=list(names(unit or "user,user-day")),
            epsilons=[number("epsilon", one) for one in names(epsilon or "0.5,1,2")],
            delta=delta,
            sizes=dict(_size(one) for one in size or []),
            intervals_per_unit=intervals_per_unit,
            regions_per_interval=regions_per_interval,
        )
        show(document, as_json, render.planned)


def _plan_events(
    home: Home,
    source: str,
    units: str,
    epsilons: str,
    delta: float,
    most: int | None,
    regions: int | None,
    charge: float | None,
    settings: list[str],
    as_json: bool,
) -> None:
    """One table for each unit and budget."""
    from flows.cli.render import data as render
    from flows.planning.contribution_bound import plan_events
    from flows.recipe.load import compose
    from flows.recipe.recipe import from_dict

    documents = []
    for unit in names(units):
        for epsilon in names(epsilons):
            options = {
                "source.name": source,
                "source.events": True,
                "privacy.unit": unit,
                "privacy.epsilon": number("epsilon", epsilon),
                "privacy.delta": delta,
                "source.regions_per_interval": regions,
            }
            asked = from_dict(compose(None, options, settings))
            found = plan_events(asked, home, charge=charge, bounds=(most,) if most else ())
            documents.append(found)
    show({"plans": documents}, as_json, render.contributions)


def _size(text: str) -> tuple[str, float]:
    """`region=1000`, or `1000` for all regions."""
    region, _, size = text.rpartition("=")
    return region, number("size", size)
