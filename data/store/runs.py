"""Trainings in the store: the origins of forecasts, and what each guarantees."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from data.store.database import Database
from data.store.forecasts import _utc
from data.store.tables import RunRow


@dataclass(frozen=True)
class Run:
    """A training.

    Attributes:
        run: its id.
        panel: name of the panel that it learnt from.
        made_at: when; UTC without a zone when read.
        document: what `train --json` printed; figures of errors are evaluated on raw data.
    """

    run: str
    panel: str
    made_at: datetime
    document: dict[str, Any]


def append_run(store: Database, run: Run) -> bool:
    """Store a training; return False and change nothing if its id is known."""
    with store.writing() as session:
        if session.get(RunRow, run.run) is not None:
            return False
        text = json.dumps(run.document)
        session.add(RunRow(run=run.run, panel=run.panel, made_at=_utc(run.made_at), document=text))
    return True


def find_run(store: Database, run: str) -> Run | None:
    """Return the training with an id, or None."""
    with store.reading() as session:
        row = session.get(RunRow, run)
        if row is None:
            return None
        return Run(row.run, row.panel, row.made_at, json.loads(row.document))


def read_runs(store: Database, panel: str | None = None) -> tuple[Run, ...]:
    """Return trainings, latest first; of one panel, if given."""
    query = select(RunRow).order_by(RunRow.made_at.desc(), RunRow.run)
    if panel is not None:
        query = query.where(RunRow.panel == panel)
    with store.reading() as session:
        return tuple(
            Run(row.run, row.panel, row.made_at, json.loads(row.document))
            for row in session.scalars(query)
        )
