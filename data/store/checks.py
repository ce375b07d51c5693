"""Keyed fingerprints of counts, by which late events are detected without storing raw counts."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import select

from data.store.database import Database
from data.store.tables import CheckRow, PanelRow, ReleaseRow


@dataclass(frozen=True)
class Check:
    """The storable facts about the counts that a release was made from.

    Attributes:
        start: of its first interval.
        end: of its last interval.
        bound: the contribution bound it was counted under, as JSON values; {} for given counts.
        prints: keyed fingerprint of each interval, in order.
    """

    start: datetime
    end: datetime
    bound: dict[str, Any]
    prints: tuple[str, ...]


def fingerprints(secret: bytes, counts: pd.DataFrame) -> tuple[str, ...]:
    """Return a keyed hash of each interval's counts and time, useless without the key."""
    values = np.ascontiguousarray(counts.to_numpy(dtype=np.float64))
    return tuple(
        hmac.new(secret, f"{time}".encode() + line.tobytes(), hashlib.sha256).hexdigest()[:24]
        for time, line in zip(counts.index, values, strict=True)
    )


def note_check(store: Database, key: str, bound: dict[str, Any], prints: tuple[str, ...]) -> None:
    """Store the fingerprints of a release, unless it has some already."""
    with store.writing() as session:
        release = session.scalars(select(ReleaseRow.id).where(ReleaseRow.key == key)).first()
        if release is not None and session.get(CheckRow, release) is None:
            body = {"bound": json.dumps(bound), "prints": json.dumps(prints)}
            session.add(CheckRow(release=release, **body))


def checks_since(store: Database, name: str, moment: datetime) -> tuple[Check, ...]:
    """Return the fingerprints of a panel's releases that end after `moment`, oldest first."""
    query = (
        select(ReleaseRow.start, ReleaseRow.end, CheckRow.bound, CheckRow.prints)
        .join(CheckRow, CheckRow.release == ReleaseRow.id)
        .join(PanelRow, PanelRow.id == ReleaseRow.panel)
        .where(PanelRow.name == name, ReleaseRow.end > moment)
        .order_by(ReleaseRow.start)
    )
    with store.reading() as session:
        return tuple(
            Check(start, end, json.loads(bound), tuple(json.loads(prints)))
            for start, end, bound, prints in session.execute(query)
        )
