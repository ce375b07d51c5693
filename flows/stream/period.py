"""Raw counts of a period of a source, of events or of counts, as `veilcast ingest` reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from data import store, validate
from data.panel import Panel
from data.sources.credentials import shown
from data.store import Database
from flows.errors import UsageError
from flows.pipeline import read
from flows.recipe.recipe import Recipe

if TYPE_CHECKING:
    from data.events.declared import Declared

NOW = "now"


def end_of(recipe: Recipe, until: str) -> pd.Timestamp | None:
    """Return the end of the period to ingest; None for all rows of the source.

    The end of events is declared: the time of the last event would tell that somebody was seen then.

    Args:
        recipe: source and events.
        until: a moment, `now`, or "" for what the recipe declares.

    Raises:
        UsageError: not a moment, or `now` for counts.
    """
    if until == NOW:
        if not recipe.source.events:
            raise UsageError("--until now is for events; of counts every row ends an interval")
        here = pd.Timestamp.now(tz=recipe.events.timezone).tz_localize(None)
        return here.floor(recipe.events.length)
    if until:
        try:
            return replace(recipe.events, end=until).moment("end")
        except ValueError as error:
            raise UsageError(f"--until: {error}") from None
    return None if not recipe.source.events else _declared(recipe).end


def unreleased(
    recipe: Recipe, base: Database, name: str, last: pd.Timestamp | None, end: pd.Timestamp | None
) -> Panel | None:
    """Return raw counts of the intervals not released yet; None if there are fewer than two.

    Args:
        recipe: source, events and contribution bound.
        base: the store.
        name: of the panel in the store.
        last: end of the last released interval; None if there is none.
        end: end of the period; None for all rows of the source.

    Raises:
        UsageError: the period of events is not declared.
        DataError: the source cannot be used.
    """
    if recipe.source.events:
        start = last if last is not None else _declared(recipe).start
        if start is None or end is None:
            raise UsageError(_undeclared(recipe, start, end))
        if end - start < 2 * recipe.events.length:
            return None
        regions = () if last is None else store.panel_regions(base, name)
        return counts_of(recipe, start, end, regions)
    panel = counts_of(recipe, None, None, ())
    chosen = panel.counts
    if last is not None:
        chosen = chosen[chosen.index >= last]
    if end is not None:
        chosen = chosen[chosen.index < end]
    if chosen.notna().all(axis=1).sum() < 2:
        return None
    observed = chosen.index[chosen.notna().all(axis=1)]
    return replace(panel, counts=chosen.loc[observed[0] : observed[-1]])


def counts_of(
    recipe: Recipe,
    start: pd.Timestamp | None,
    end: pd.Timestamp | None,
    regions: tuple[str, ...],
) -> Panel:
    """Read and validate the raw counts of a period.

    Args:
        recipe: source, events and contribution bound.
        start: of the period, for events; by default the recipe's.
        end: likewise.
        regions: of the panel, for events; by default the recipe's.

    Raises:
        DataError: the source cannot be used.
    """
    config = recipe.events
    events = replace(
        config,
        start=config.start if start is None else str(start),
        end=config.end if end is None else str(end),
        regions=regions or config.regions,
    )
    table = read.read(recipe, events=events if recipe.source.events else None)
    return validate.to_panel(table, max_gap=recipe.source.max_gap, short=True)[0]


def _declared(recipe: Recipe) -> Declared:
    # Ibis takes half a second to import, which counts do not need
    from data.events.declared import declared

    return declared(recipe.source.name, recipe.events)


def _undeclared(recipe: Recipe, start: pd.Timestamp | None, end: pd.Timestamp | None) -> str:
    missing = "end" if start is not None else "start" if end is not None else "start and end"
    return (
        f"{shown(recipe.source.name)}: the {missing} of the period "
        f"{'are' if ' ' in missing else 'is'} not declared, and the times of private events tell who "
        "was seen; give events.start for the first time, and --until 2024-03-01, --until now (the last "
        "whole interval by the clock of events.timezone) or events.end"
    )
