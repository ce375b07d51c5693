"""`veilcast ingest`: new intervals of a source, noised under a charge and appended to the store."""

from __future__ import annotations

from dataclasses import asdict, replace

import pandas as pd

from data import store
from data.panel import Panel
from data.sources.credentials import shown
from data.spans import to_span
from data.store import Check, Database
from dp.ledger import Ledger, local_secret
from dp.unit.privacy_unit import PrivacyUnit
from flows.document import Document
from flows.errors import UsageError
from flows.pipeline.evaluate import NOT_PRIVATE
from flows.pipeline.privatise import noised
from flows.recipe.recipe import Recipe
from flows.settings import Home
from flows.stream.period import counts_of, end_of, unreleased
from flows.stream.publish import publish, released


def ingest(recipe: Recipe, home: Home, *, until: str = "", late: str = "2d") -> Document:
    """Bring the store up to date with a source; released intervals are never changed.

    Intervals after the last released one are counted, noised under a charge and appended; a repeat does
    nothing. Intervals released earlier, as far back as `late`, are counted once more, only to report
    whether their counts have changed.

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
    end = end_of(recipe, until)
    document: Document = {"panel": name, "source": _name(recipe), "new": 0, "known": 0}
    document |= {"from": None, "to": None, "release": None, "kept_raw": False}
    if last is not None:
        checks = store.checks_since(base, name, (last - back).to_pydatetime()) if back else ()
        document["late"] = _late(recipe, home, base, name, checks)
    else:
        document["late"] = {"intervals": 0, "note": NOT_PRIVATE}
    panel = unreleased(recipe, base, name, last, end)
    if panel is None:
        return document
    return document | _published(panel, recipe, home, base, name)


def _published(panel: Panel, recipe: Recipe, home: Home, base: Database, name: str) -> Document:
    """Release a panel into the store, and describe the release."""
    counts, details = noised(panel, recipe, home)
    entry = details.entry
    appended = publish(base, name, counts.counts, entry, interval=panel.interval)
    prints = store.fingerprints(local_secret(home.secret), panel.counts)
    bound = {} if panel.bound is None else asdict(panel.bound)
    store.note_check(base, entry.key, bound, prints)
    if recipe.source.keep_raw:
        store.append_raw(
            store.open_raw(home.database_url), name, panel.counts, interval=panel.interval
        )
    spent = Ledger(home.database_url).spent(
        entry.dataset, PrivacyUnit(recipe.privacy.unit), recipe.privacy.delta
    )
    return {
        "new": appended.new,
        "known": appended.known,
        "from": str(panel.times[0]),
        "to": str(panel.times[-1] + panel.interval),
        "kept_raw": recipe.source.keep_raw,
        "release": {
            **asdict(released(entry)),
            "neighbours": details.unit.neighbours,
            "bound": list(details.reasons),
            "epsilon_spent_on_data_set": spent,
        },
    }


def _name(recipe: Recipe) -> str:
    """Return the name of the source, without credentials."""
    return shown(recipe.source.name)


def _late(
    recipe: Recipe, home: Home, base: Database, name: str, checks: tuple[Check, ...]
) -> Document:
    """Report released intervals whose counts differ now; they stay as they are."""
    secret, changed = local_secret(home.secret), []
    whole = None if recipe.source.events else counts_of(recipe, None, None, ())
    for check in checks:
        times = pd.Timestamp(check.start), pd.Timestamp(check.end)
        if whole is None:
            bound = check.bound
            privacy = replace(
                recipe.privacy,
                unit=bound["unit"],
                intervals_per_unit=bound["intervals"],
                weight=bound["weight"],
            )
            source = replace(
                recipe.source,
                regions_per_interval=bound["regions"],
                regions_ever=bound.get("regions_ever"),  # of releases before 0.3 none
                runs_per_day=bound.get("runs_per_day"),
            )
            earlier = replace(recipe, privacy=privacy, source=source)
            counts = counts_of(earlier, *times, store.panel_regions(base, name)).counts
        else:
            counts = whole.counts[(whole.times >= times[0]) & (whole.times < times[1])]
            counts = counts.loc[:, list(store.panel_regions(base, name))]
        now = store.fingerprints(secret, counts)
        if len(now) != len(check.prints):
            changed += [times[0]]
            continue
        same = zip(counts.index, now, check.prints, strict=True)
        changed += [time for time, new, old in same if new != old]
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
