"""Commands that compare: plan, backtest, tune, reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.command import (
    DELTA,
    SOURCE,
    Json,
    Quiet,
    RecipeName,
    Settings,
    Source,
    errors,
    open_folders,
    show,
)
from flows.settings import Home

app = typer.Typer()


@app.command(epilog="For example: veilcast plan counts.csv --size 1200 --regions-per-interval 1")
def plan(
    source: Annotated[str, typer.Argument(help=SOURCE)],
    unit: Annotated[str, typer.Option(help="Units, separated by commas.")] = "user,user-day",
    epsilon: Annotated[str, typer.Option(help="Budgets, separated by commas.")] = "0.5,1,2",
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
                home, source, unit, epsilon, delta, intervals_per_unit, regions_per_interval,
                charge, settings or [], as_json,
            )  # fmt: skip
            return
        from flows import study_console
        from flows.planning.expected_error import plan as planned

        document = planned(
            source,
            units=list(names(unit)),
            epsilons=[number("epsilon", one) for one in names(epsilon)],
            delta=delta,
            sizes=dict(_size(one) for one in size or []),
            intervals_per_unit=intervals_per_unit,
            regions_per_interval=regions_per_interval,
        )
        show(document, as_json, study_console.planned)


@app.command(epilog="For example: veilcast backtest --source counts.csv --model ridge,trees")
def backtest(
    recipe: RecipeName = None,
    source: Source = None,
    model: Annotated[str | None, typer.Option(help="Forecasters, separated by commas.")] = None,
    folds: Annotated[int, typer.Option(help="Periods before the test period.", min=1)] = 4,
    length: Annotated[str, typer.Option(help="Of each period.")] = "7d",
    seeds: Annotated[int, typer.Option(help="Trainings of each forecaster.", min=1)] = 1,
    refit: Annotated[
        bool, typer.Option(help="Train before each period, or once before the first.")
    ] = True,
    settings: Settings = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare forecasters on the weeks before the test week, which stays unseen."""
    with errors():
        open_folders()
        from flows import study_console
        from flows.recipe.load import compose
        from flows.runtime import progress
        from flows.runtime.engine import start_engine_for

        values = compose(recipe, {"source.name": source}, settings or [])
        wait = start_engine_for(values)
        from flows.compare.backtest import Folds
        from flows.compare.backtest import backtest as flow

        models = list(names(model or ""))
        with progress.shown(quiet=quiet):
            wait()
            document = flow(values, models, Folds(folds, length, seeds, refit))
        show(document, as_json, study_console.backtested)


@app.command(epilog="For example: veilcast tune --source counts.csv --model ridge --trials 10")
def tune(
    recipe: RecipeName = None,
    source: Source = None,
    model: Annotated[str | None, typer.Option(help="The forecaster to tune.")] = None,
    trials: Annotated[int, typer.Option(help="Settings tried, in all.", min=1)] = 30,
    folds: Annotated[int, typer.Option(help="Periods before the test period.", min=1)] = 2,
    length: Annotated[str, typer.Option(help="Of each period.")] = "7d",
    settings: Settings = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search for better settings on the weeks before the test week; resumes."""
    with errors():
        open_folders()
        from flows import study_console
        from flows.recipe.load import compose
        from flows.runtime import progress
        from flows.runtime.engine import start_engine_for

        values = compose(recipe, {"source.name": source, "model.name": model}, settings or [])
        wait = start_engine_for(values)
        from flows.compare.backtest import Folds
        from flows.compare.tune import tune as flow

        with progress.shown(quiet=quiet):
            wait()
            document = flow(values, trials, Folds(folds, length))
        show(document, as_json, study_console.tuned)


@app.command(epilog="For example: veilcast reproduce --quick")
def reproduce(
    paper: Annotated[str, typer.Argument(help="arcolezi2022.")] = "arcolezi2022",
    quick: Annotated[bool, typer.Option("--quick", help="Minutes in place of hours.")] = False,
    seeds: Annotated[
        int | None,
        typer.Option(help="Trainings of each of our forecasters.", show_default="5", min=1),
    ] = None,
    paper_seeds: Annotated[
        int | None,
        typer.Option(help="Trainings of each of the paper's networks.", show_default="5", min=1),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Of the paper's networks.", show_default="100, as in the paper", min=1),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the report.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """The paper's tables: as published, as run here, and under honest selection. Resumes."""
    with errors():
        from flows.errors import UsageError

        if paper != "arcolezi2022":
            raise UsageError(f"no such paper: {paper!r}; choose arcolezi2022")
        home = open_folders()
        from dataclasses import replace

        from flows import study_console
        from flows.runtime import progress
        from flows.runtime.engine import start_engine

        wait = start_engine()
        from flows.arcolezi import report, study

        asked = study.QUICK if quick else study.Effort()
        asked = replace(
            asked,
            seeds=seeds or asked.seeds,
            paper_seeds=paper_seeds or asked.paper_seeds,
            epochs=epochs or asked.epochs,
        )
        with progress.shown(quiet=quiet):
            wait()
            result = study.reproduce(asked)
        result["files"] = report.write(result, out or home.reports)
        show(result, as_json, study_console.reproduced)


def _plan_events(
    home: Home, source: str, units: str, epsilons: str, delta: float, most: int | None,
    regions: int | None, charge: float | None, settings: list[str], as_json: bool,
) -> None:  # fmt: skip
    """One table for each unit and budget."""
    from flows import ingest_console
    from flows.planning.contribution_bound import plan_events
    from flows.recipe.load import compose
    from flows.recipe.recipe import from_dict

    documents = []
    for unit in names("user-day" if units == "user,user-day" else units):
        for epsilon in names("1" if epsilons == "0.5,1,2" else epsilons):
            options = {
                "source.name": source, "source.events": True, "privacy.unit": unit,
                "privacy.epsilon": number("epsilon", epsilon), "privacy.delta": delta,
                "source.regions_per_interval": regions,
            }  # fmt: skip
            asked = from_dict(compose(None, options, settings))
            found = plan_events(asked, home, charge=charge, bounds=(most,) if most else ())
            documents.append(found)
    show({"plans": documents}, as_json, ingest_console.contributions)


def names(text: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def number(name: str, text: str) -> float:
    """The number of an option, above 0.

    Raises:
        UsageError: it is none.
    """
    from flows.errors import UsageError

    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UsageError(f"expected --{name} {text!r} to be a number above 0")
    return value


def _size(text: str) -> tuple[str, float]:
    """`region=1000`, or `1000` for all regions."""
    region, _, size = text.rpartition("=")
    return region, number("size", size)
