"""Replay: published counts of the past, arriving in a database table as if they were new."""

from __future__ import annotations

import time
from collections.abc import Callable

import pandas as pd
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from data import sources
from data.sources.credentials import HINT, connectable, shown
from flows.document import Document
from flows.errors import SetupError, UsageError


def replay(
    source: str,
    target: str,
    *,
    history: int,
    speed: float,
    minutes: float,
    say: Callable[[int], None] | None = None,
) -> Document:
    """Write the first days of a source at once, then the rest interval by interval.

    Args:
        source: published or made-up counts; private counts are refused.
        target: `URL#table`; an existing table is replaced.
        history: days that are written at once.
        speed: factor by which time passes faster.
        minutes: how long to go on.
        say: called with the number of intervals written.

    Raises:
        UsageError: the source is not public, or the target is no URL#table.
        SetupError: the database does not accept the counts.
    """
    table = sources.read(source)
    if not table.public:
        raise UsageError(f"{table.name} is not published; replay is for paris-cdr and synthetic")
    address, _, name = target.rpartition("#")
    if not address or not name:
        raise UsageError("expected the target to read URL#table")
    frame = table.frame.sort_values("time")
    start = frame["time"].min() + pd.Timedelta(days=history)
    past, rest = frame[frame["time"] < start], frame[frame["time"] >= start]
    interval = frame["time"].diff().min().total_seconds() / speed
    try:
        url = make_url(connectable(target).rpartition("#")[0])
    except (ArgumentError, ValueError):  # the port, which the message would quote
        raise UsageError(f"{shown(target)} is not a database URL ({HINT})") from None
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(url)
    try:
        past.to_sql(name, engine, if_exists="replace", index=False)
        began, written = time.monotonic(), 0
        for _, row in rest.iterrows():
            due = began + (written + 1) * interval
            if due - began > minutes * 60:
                break
            time.sleep(max(0.0, due - time.monotonic()))
            for pause in (1, 2, 4, 8, 15, None):  # wait for a server that restarts
                try:
                    row.to_frame().T.astype(frame.dtypes).to_sql(
                        name, engine, if_exists="append", index=False
                    )
                    break
                except SQLAlchemyError:
                    if pause is None:
                        raise
                    engine.dispose()
                    time.sleep(pause)
            written += 1
            if say:
                say(written)
    except SQLAlchemyError as error:
        raise SetupError(
            f"the database did not take the counts ({type(error).__name__}); check address, user and "
            "rights"
        ) from None
    finally:
        engine.dispose()
    return {
        "source": table.name,
        "table": name,
        "history": len(past),
        "written": written,
        "interval_seconds": interval,
    }
