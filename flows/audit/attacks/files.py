"""Attack: compare the publications of two files that differ by one person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from flows.audit.attacks.accounts import REFUSALS, values
from flows.audit.attacks.attempt import Attempt
from flows.document import Document
from flows.pipeline.completed import Completed, result_of
from flows.pipeline.steps import (
    evaluate_step,
    ingest_step,
    privatise_step,
    train_step,
    validate_step,
    window_step,
)
from flows.recipe.recipe import from_dict
from flows.settings import temporary_home

_NOISY = (
    "rmse",
    "mae",
    "smape",
    "mase",
    "coverage",
    "baselines",
    "epochs",
    "weight_distance",
    "seconds",
    "ledger",
)
"""Figures of a run that depend on noise, are marked as raw, or are keyed; all others are compared."""
_DAYS, _STEPS = 30, 8
_DECLARED: dict[str, Document] = {
    "nothing declared": {},
    "regions and period declared": {
        "regions": ["north", "south"],
        "start": "2024-01-01",
        "end": "2024-01-31",
    },
}


def files(folder: Path) -> Iterator[Attempt]:
    """Add one person to counts at the edge of every rule, and to events far from all others."""
    path = folder / "neighbours.csv"
    source = {"regions_per_interval": 2}
    yield _compared(
        "neighbouring counts",
        "one person more in a region that never changes",
        _values(path, source=source),
        path,
        _counts(False),
        _counts(True),
    )
    path = folder / "neighbours.parquet"
    source = {"events": True, "regions_per_interval": 1}
    for declared, events in _DECLARED.items():
        yield _compared(
            f"neighbouring events, {declared}",
            "one person more, before all others and in a place of their own",
            _values(path, source=source, events={"interval": "180min", **events}),
            path,
            _events(False),
            _events(True),
        )


def _values(path: Path, **sections: Document) -> Document:
    """Return values of a minimal recipe."""
    recipe: Document = values(
        "user-day",
        str(path),
        windows={"lags": 2, "test": "4d", "validation": "0d", "calibration": "0d"},
        model={"name": "ridge"},
        **sections,
    )
    return recipe


def published(values: Document) -> Document:
    """Return what a run publishes, except figures that depend on noise; or a refusal's message."""
    with temporary_home() as home:
        home.reports.mkdir(parents=True)
        recipe = from_dict(values)
        try:
            raw, findings = validate_step.fn(ingest_step.fn(recipe), recipe.source.max_gap)
            used = privatise_step.fn(raw, recipe, home)
            prepared = window_step.fn(used, raw, recipe)
            fitted = train_step.fn(prepared, recipe, used.guarantee, home, lambda *_: None)
            scores = evaluate_step.fn(fitted, prepared, ridge=False)
            completed = Completed(recipe, findings, used, prepared, fitted, scores, 0.0)
            document = result_of(completed, home).to_dict()
        except REFUSALS as error:
            return {"refused": str(error)}
        shown = {
            "regions": list(used.inputs.regions),
            "from": str(used.inputs.times[0]),
            "to": str(used.inputs.times[-1]),
            "intervals": len(used.inputs.times),
        }
    return shown | {name: value for name, value in document.items() if name not in _NOISY}


def _compared(
    kind: str,
    tried: str,
    recipe: Document,
    path: Path,
    without: pd.DataFrame,
    with_person: pd.DataFrame,
) -> Attempt:
    outputs = []
    for frame in (without, with_person):
        if path.suffix == ".csv":
            frame.to_csv(path)
        else:
            frame.to_parquet(path)
        outputs.append(published(recipe))
    first, second = outputs
    keys = first.keys() | second.keys()
    differ = sorted(key for key in keys if first.get(key) != second.get(key))
    if differ:
        outcome = f"these differ: {', '.join(differ)}"
    elif "refused" in first:
        outcome = f"both are refused: {first['refused']}"
    else:
        outcome = f"{len(keys)} figures and sentences are equal"
    return Attempt(
        kind=kind,
        tried=tried,
        claimed="nothing but noise differs in what is published",
        found=outcome,
        refutes=bool(differ),
    )


def _counts(more: bool) -> pd.DataFrame:
    times = pd.date_range("2024-01-01", periods=_DAYS * _STEPS, freq="3h", name="time")
    usual = np.random.default_rng(1).integers(50, 90, (len(times), 2))
    frame = pd.DataFrame(usual, times, ["north", "south"]).assign(harbour=7)
    frame.insert(0, "town", frame.sum(axis=1))
    frame.loc[times[5], "harbour"] = 7 + int(more)
    return frame


def _events(more: bool) -> pd.DataFrame:
    draw = np.random.default_rng(2)
    persons = np.repeat(np.arange(100, 140), _DAYS * 3)
    minutes = draw.integers(0, _DAYS * 1440, len(persons))
    frame = pd.DataFrame(
        {
            "person": persons,
            "time": pd.Timestamp("2024-01-01") + pd.to_timedelta(minutes, unit="min"),
            "place": draw.choice(["north", "south"], len(persons)),
        }
    )
    alone = pd.DataFrame({"person": [7], "time": [pd.Timestamp("2023-12-29")], "place": ["hut"]})
    return pd.concat([frame, alone]) if more else frame
