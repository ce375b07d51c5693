"""Saved runs: the statement and the released counts among a run's files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd

from data.panel import Panel
from data.store import open_store, read_panel
from flows.document import Document
from flows.errors import UsageError
from flows.pipeline.privatise import kept_release, suppressed
from flows.recipe.load import load
from flows.recipe.recipe import from_dict
from flows.settings import Home
from models import checkpoint


def read_statement(files: Path) -> Document:
    """Read the statement among a run's files, with its text in Markdown.

    Raises:
        UsageError: the run has none.
    """
    try:
        document: Document = json.loads((files / "statement.json").read_text())
        return {**document, "markdown": (files / "statement.md").read_text()}
    except FileNotFoundError as error:
        raise UsageError(
            f"this run has no {Path(error.filename).name}; it is from an older veilcast, train again"
        ) from None


def released_panel(files: Path, home: Home) -> Panel | None:
    """Read the noised counts that a run forecasts from, with gaps; None if it reads raw counts."""
    recipe, extra = (
        from_dict(load(str(files / "recipe.toml"))),
        checkpoint.load_extra(files / "model"),
    )
    if stream := extra.get("stream"):
        return replace(read_panel(open_store(home.database_url), stream), noised=True)
    if extra["release"] is None:
        return None
    counts = suppressed(kept_release(extra["release"], home), recipe)
    interval = pd.Timedelta(seconds=extra["interval_seconds"])
    counts = counts.reindex(pd.date_range(counts.index[0], counts.index[-1], freq=interval))
    return Panel(counts.rename_axis("time"), recipe.source.name, noised=True)
