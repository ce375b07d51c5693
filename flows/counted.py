"""The counts of a recipe's source: read as they are, or counted from raw events under its bound."""

from __future__ import annotations

from dataclasses import replace

from data import sources
from data.errors import DataError
from data.events.config import EventsConfig
from data.sources import Table
from dp.ledger import local_secret
from dp.unit import IntervalUnit, PrivacyUnit, parse_unit
from flows.recipe import Recipe
from flows.settings import open_home


def read(recipe: Recipe, *, events: EventsConfig | None = None) -> Table:
    """Raw counts of the source; of events, under the bound that the noise will be made for.

    Args:
        recipe: what was asked for.
        events: instead of the recipe's, for another period of the same source.

    Raises:
        DataError: the source cannot be used; the message quotes no cell.
    """
    source = recipe.source
    try:
        if not source.events:
            return sources.read(
                source.name,
                regions_per_interval=source.regions_per_interval,
                persons=source.persons,
                query=source.query,
                parameters=source.parameters,
            )
        # Ibis takes half a second to import, which most runs do not need
        from data.events.read import Limits, read_events

        unit = parse_unit(recipe.privacy.unit)
        # interval-w lets everybody change everything within it: nothing to cut person by person
        named = PrivacyUnit.USER if isinstance(unit, IntervalUnit) else unit
        limits = Limits(
            named.value,
            recipe.privacy.intervals_per_unit,
            source.regions_per_interval,
            recipe.privacy.weight,
        )
        table = read_events(
            source.name,
            events or recipe.events,
            limits,
            secret=local_secret(open_home().secret),
            query=source.query,
            parameters=source.parameters,
            persons=source.persons,
        )
        return replace(table, bound=None) if isinstance(unit, IntervalUnit) else table
    except DataError:
        raise
    except Exception as error:
        # The text of a foreign error may quote a count, and Prefect stores it.
        kind = type(error).__name__
        raise DataError(f"{source.name.split('://')[0]}: cannot be read ({kind})") from None
