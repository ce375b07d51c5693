"""Published counts: the one path by which charged and noised counts get into the store.

`veilcast ingest` and the scheduled stream both charge and noise through `dp.release.panel.draw_once`,
which commits the charge before any noise is drawn, and both append through `publish`. What was appended
is never changed, and publishing the same release again changes nothing.

What is charged differs on purpose, because the promises do:

- `ingest` makes one promise per call. Its noise is calibrated for the new period alone, and the key of
  its charge identifies the counts (`dp.release.panel.release_counts`).
- A stream makes one promise about everything that ever arrives. Its noise is calibrated for all
  intervals of a unit, the stream's budget caps its charges, and their keys identify the stream and the
  intervals: counts corrected later must not be noised again (`dp.release.stream.release_piece`).
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from data.store import Appended, Database, Released, append_panel
from dp.composition.total import RUNS
from dp.ledger import Entry
from dp.mechanisms.run_noise import mean_gain
from dp.unit.contribution import ContributionBound


def publish(
    store: Database, name: str, counts: pd.DataFrame, entry: Entry, *, interval: pd.Timedelta
) -> Appended:
    """Append released counts to a panel of the store, under their charge.

    Args:
        store: where the panel is.
        name: of the panel.
        counts: noised counts, times × regions.
        entry: the charge that they were noised under.
        interval: length of an interval.

    Returns:
        How many intervals were new, and how many were there already.

    Raises:
        ValueError: nothing was released under the charge.
        DataError: the panel has other regions or another interval.
    """
    if entry.state != "released":
        raise ValueError(f"expected ledger entry {entry.id} to be released, it is {entry.state}")
    return append_panel(store, name, counts, released(entry), interval=interval)


def released(entry: Entry) -> Released:
    """Return what the store keeps about a charge."""
    event = entry.event
    bound = ContributionBound(event["intervals"], event["regions"], event["weight"])
    return Released(
        key=entry.key,
        ledger_entry=entry.id,
        unit=entry.unit.value,
        epsilon=event.get("epsilon", entry.epsilon),  # of the group that a further piece is part of
        delta=entry.delta,
        sigma=deviation_of(event),
        sensitivity=bound.sensitivity,
    )


def deviation_of(event: dict[str, Any]) -> float:
    """Return the standard deviation of all noise on a count, whatever its design, in persons."""
    if event["mechanism"] == RUNS:
        return float(event["sigma"]) * mean_gain(tuple(event["taps"]), event["cells"])
    return math.hypot(event["sigma"], event.get("offset", 0.0))
