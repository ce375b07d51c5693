"""`veilcast ingest`: new intervals of a source, noised under a charge, into the store."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from data import store, validate
from data.panel import Panel
from data.sources.credentials import shown
from data.spans import to_span
from data.store import Check, Database, Released
from dp.ledger import Ledger, local_secret
from dp.unit.privacy_unit import PrivacyUnit
from flows.errors import UsageError
from flows.pipeline import read
from flows.pipeline.evaluate import NOT_PRIVATE
from flows.pipeline.privatise import Noised, noised
from flows.recipe.recipe import Recipe
from flows.settings import Home

if TYPE_CHECKING:
    from data.events.declared import Declared

NOW = "now"


def ingest(recipe: Recipe, home: Home, *, until: str = "", late: str = "2d") -> dict[str, Any]:
    """Bring the store up to date with a source; what is there is never changed.

    Intervals after the last one that was released are counted, noised under a charge and appended; the
    same again does nothing. Intervals that were released are counted once more as far back as `late`,
    and only whether they changed is told.

    Args:
        recipe: source, events and privacy; its mechanism is `input`.
        home: where store and ledger are.
        until: end of the period, or `now`; of events by default `events.end`.
        late: how far back to look for late events; "0d" for not at all.

    Returns:
        The document that `veilcast ingest --json` prints.

    Raises:
        UsageError: another mechanism than `input`, or events whose period has no declared end.
        DataError: the source cannot be used; nothing was written.
        BudgetRefused: the account's cap would be passed; nothing was drawn.
    """
    if recipe.privacy.mechanism != "input":
        raise UsageError(
            f"mechanism={recipe.privacy.mechanism} noises no counts; the store takes noised ones: "
            "mechanism=input"
        )
    back = _length(late)
    base = store.open_store(home.database_url)
    name = recipe.source.account or _name(recipe)
    last = store.released_until(base, name)
    end = _end(recipe, until)
    document: dict[str, Any] = {"panel": name, "source": _name(recipe), "new": 0, "known": 0}
    document |= {"from": None, "to": None, "release": None, "kept_raw": False}
    if last is not None:
        checks = store.checks_since(base, name, (last - back).to_pydatetime()) if back else ()
        document["late"] = _late(recipe, home, base, name, checks)
    else:
        document["late"] = {"intervals": 0, "note": NOT_PRIVATE}
    panel = _fresh(recipe, base, name, last, end)
    if panel is None:
        return document
    counts, made = noised(panel, recipe, home)
    release = _released(made)
    found = store.append_panel(base, name, counts.counts, release, interval=panel.interval)
    prints = store.fingerprints(local_secret(home.secret), panel.counts)
    bound = {} if panel.bound is None else asdict(panel.bound)
    store.note_check(base, release.key, bound, prints)
    if recipe.source.keep_raw:
        store.append_raw(
            store.open_raw(home.database_url), name, panel.counts, interval=panel.interval
        )
    spent = Ledger(home.database_url).spent(
        made.entry.dataset, PrivacyUnit(recipe.privacy.unit), recipe.privacy.delta
    )
    return document | {
        "new": found.new,
        "known": found.known,
        "from": str(panel.times[0]),
        "to": str(panel.times[-1] + panel.interval),
        "kept_raw": recipe.source.keep_raw,
        "release": {
            **asdict(release),
            "neighbours": made.unit.neighbours,
            "bound": list(made.reasons),
            "epsilon_spent_on_data_set": spent,
        },
    }


def _released(made: Noised) -> Released:
    noise = made.noise
    return Released(
        key=made.entry.key,
        ledger_entry=made.entry.id,
        unit=made.unit.value,
        epsilon=float(noise.epsilon),
        delta=noise.budget.delta,
        sigma=noise.sigma,
        sensitivity=noise.bound.sensitivity,
    )


def _name(recipe: Recipe) -> str:
    """What the source is called, without credentials."""
    return shown(recipe.source.name)


def _end(recipe: Recipe, until: str) -> pd.Timestamp | None:
    """End of what is ingested; None for all there is.

    Of events it is declared: the time of the last one would tell that somebody was seen then.
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


def _declared(recipe: Recipe) -> Declared:
    # Ibis takes half a second to import, which counts do not need
    from data.events.declared import declared

    return declared(recipe.source.name, recipe.events)


def _fresh(
    recipe: Recipe, base: Database, name: str, last: pd.Timestamp | None, end: pd.Timestamp | None
) -> Panel | None:
    """Raw counts of the intervals that are not released yet; None if there are fewer than two."""
    if recipe.source.events:
        start = last if last is not None else _declared(recipe).start
        if start is None or end is None:
            missing = (
                "end" if start is not None else "start" if end is not None else "start and end"
            )
            raise UsageError(
                f"{_name(recipe)}: the {missing} of the period {'are' if ' ' in missing else 'is'} not "
                "declared, and the times of private events tell who was seen; give events.start for "
                "the first time, and "
                "--until 2024-03-01, --until now (the last whole interval by the clock of "
                "events.timezone) or events.end"
            )
        if end - start < 2 * recipe.events.length:
            return None
        regions = () if last is None else store.panel_regions(base, name)
        return _panel(recipe, start, end, regions)
    panel = _panel(recipe, None, None, ())
    chosen = panel.counts
    if last is not None:
        chosen = chosen[chosen.index >= last]
    if end is not None:
        chosen = chosen[chosen.index < end]
    if chosen.notna().all(axis=1).sum() < 2:
        return None
    observed = chosen.index[chosen.notna().all(axis=1)]
    return replace(panel, counts=chosen.loc[observed[0] : observed[-1]])


def _panel(
    recipe: Recipe,
    start: pd.Timestamp | None,
    end: pd.Timestamp | None,
    regions: tuple[str, ...],
) -> Panel:
    """Raw counts of a period, validated."""
    config = recipe.events
    events = replace(
        config,
        start=config.start if start is None else str(start),
        end=config.end if end is None else str(end),
        regions=regions or config.regions,
    )
    table = read.read(recipe, events=events if recipe.source.events else None)
    return validate.to_panel(table, max_gap=recipe.source.max_gap, short=True)[0]


def _late(
    recipe: Recipe, home: Home, base: Database, name: str, checks: tuple[Check, ...]
) -> dict[str, Any]:
    """Which released intervals would be counted otherwise now; they stay as they are."""
    secret, changed = local_secret(home.secret), []
    given = None if recipe.source.events else _panel(recipe, None, None, ())
    for check in checks:
        times = pd.Timestamp(check.start), pd.Timestamp(check.end)
        if given is None:
            bound = check.bound
            privacy = replace(
                recipe.privacy,
                unit=bound["unit"],
                intervals_per_unit=bound["intervals"],
                weight=bound["weight"],
            )
            source = replace(recipe.source, regions_per_interval=bound["regions"])
            asked = replace(recipe, privacy=privacy, source=source)
            counts = _panel(asked, *times, store.panel_regions(base, name)).counts
        else:
            counts = given.counts[(given.times >= times[0]) & (given.times < times[1])]
            counts = counts.loc[:, list(store.panel_regions(base, name))]
        now = store.fingerprints(secret, counts)
        if len(now) != len(check.prints):
            changed += [times[0]]
            continue
        same = zip(counts.index, now, check.prints, strict=True)
        changed += [time for time, one, before in same if one != before]
    return {
        "intervals": len(changed),
        **({"from": str(min(changed)), "to": str(max(changed))} if changed else {}),
        "note": f"released intervals stay as they are; {NOT_PRIVATE}",
    }


def _length(late: str) -> pd.Timedelta:
    try:
        return pd.Timedelta(0) if late.startswith("0") else to_span(late)
    except ValueError as error:
        raise UsageError(f"--late: {error}") from None
