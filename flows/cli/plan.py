"""`veilcast plan`: the expected cost of a guarantee, before anything is charged."""

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
        typer.Option(help="Usual count: 1000 for all regions, or region=1000; repeatable."),
    ] = None,
    intervals_per_unit: Annotated[
        int | None, typer.Option(help="K, the most intervals in which one unit is counted.", min=1)
    ] = None,
    regions_per_interval: Annotated[
        int | None,
        typer.Option(help="M, the most regions that count a person in an interval.", min=1),
    ] = None,
    regions_ever: Annotated[
        int | None,
        typer.Option(help="G, the most different regions that count one unit.", min=1),
    ] = None,
    events: Annotated[
        bool, typer.Option("--events", help="Raw events: what each K leaves out, and its noise.")
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
    """Estimate the error under each promise, before anything is drawn or charged."""
    with errors():
        _refuse_unused(events, size, charge, settings)
        home = open_folders()
        if events:
            from flows.cli.render import data
            from flows.planning.contribution_bound import plan_each

            document = plan_each(
                source,
                home,
                units=names("user-day" if unit is None else unit),
                epsilons=_epsilons("1" if epsilon is None else epsilon),
                delta=delta,
                charge=charge,
                intervals_per_unit=intervals_per_unit,
                regions_per_interval=regions_per_interval,
                regions_ever=regions_ever,
                settings=settings or [],
            )
            show(document, as_json, data.contributions)
            return
        from flows.cli.render import compare as render
        from flows.planning.expected_error import plan as planned

        document = planned(
            source,
            units=names("user,user-day" if unit is None else unit),
            epsilons=_epsilons("0.5,1,2" if epsilon is None else epsilon),
            delta=delta,
            sizes=dict(_size(text) for text in size or []),
            intervals_per_unit=intervals_per_unit,
            regions_per_interval=regions_per_interval,
            regions_ever=regions_ever,
        )
        show(document, as_json, render.planned)


def _refuse_unused(
    events: bool, size: list[str] | None, charge: float | None, settings: list[str] | None
) -> None:
    """Refuse options that the other kind of source would silently ignore.

    Raises:
        UsageError: an option of events without --events, or one of counts with it.
    """
    from flows.errors import UsageError

    if events and size:
        raise UsageError("--size describes counts, not raw events; leave out --size or --events")
    if not events and (charge is not None or settings):
        option = "--set" if settings else "--charge"
        raise UsageError(f"{option} is for raw events; add --events, or leave it out")


def _epsilons(text: str) -> tuple[float, ...]:
    """Parse budgets between commas."""
    return tuple(number("epsilon", budget) for budget in names(text))


def _size(text: str) -> tuple[str, float]:
    """Parse `region=1000`, or `1000` for all regions."""
    region, _, size = text.rpartition("=")
    return region, number("size", size)
