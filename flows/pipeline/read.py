"""The counts of a recipe's source: read as they are, or counted from raw events under its bound."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from data import sources
from data.errors import DataError
from data.events.config import EventsConfig
from data.sources import Table
from dp.ledger import local_secret
from dp.unit.privacy_unit import IntervalUnit, PrivacyUnit, Unit, parse_unit
from flows.recipe.recipe import Recipe
from flows.settings import open_home

if TYPE_CHECKING:
    from data.events.read import Limits


def read(recipe: Recipe, *, events: EventsConfig | None = None, look: bool | None = None) -> Table:
    """Raw counts of the source; of events, under the bound that the noise will be made for.

    Args:
        recipe: what was asked for.
        events: instead of the recipe's, for another period of the same source.
        look: whether regions and period may be read off the events; by default if there is no
            mechanism.

    Raises:
        BoundError: the bound does not fit the events.
        DataError: the source cannot be used; the message quotes no cell.
    """
    source = recipe.source
    try:
        if not source.events:
            return sources.read(
                source.name,
                regions_per_interval=source.regions_per_interval,
                regions_ever=source.regions_ever,
                nested=source.nested,
                persons=source.persons,
                query=source.query,
                parameters=source.parameters,
            )
        # Ibis takes half a second to import, which most runs do not need
        from data.events.read import read_events

        unit = parse_unit(recipe.privacy.unit)
        limits = _limits(recipe, unit)
        table = read_events(
            source.name,
            events or recipe.events,
            limits,
            secret=local_secret(open_home().secret),
            query=source.query,
            parameters=source.parameters,
            persons=source.persons,
            look=recipe.privacy.mechanism == "none" if look is None else look,
        )
        return replace(table, bound=None) if isinstance(unit, IntervalUnit) else table
    except DataError:
        raise
    except Exception as error:
        # The text of a foreign error may quote a count, and Prefect stores it.
        kind = type(error).__name__
        raise DataError(f"{source.name.split('://')[0]}: cannot be read ({kind})") from None


def _limits(recipe: Recipe, unit: Unit) -> Limits:
    """The bound to enforce; for `interval-w` nothing that reaches over an interval's ends.

    The account of `interval-w` counts the windows that read the changed intervals, and no other
    window may change. A cut to K intervals of a person would drop or add her elsewhere; M regions
    and w_max are cut within one interval and stay.
    """
    from data.events.read import Limits

    regions, weight = recipe.source.regions_per_interval, recipe.privacy.weight
    if isinstance(unit, IntervalUnit):
        return Limits(PrivacyUnit.USER.value, None, regions, weight)
    most = recipe.privacy.intervals_per_unit
    source = recipe.source
    return Limits(unit.value, most, regions, weight, source.regions_ever, source.runs_per_day)
