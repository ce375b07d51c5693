"""A new model from released counts, and whether it takes the place of the one in use."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from data.panel import Panel
from data.store import Run, append_run, open_store, panel_releases
from data.windows import Windows
from dp.ledger import Ledger, verify
from dp.release.panel import panel_of
from flows.pipeline import evaluate, fit
from flows.pipeline.completed import Completed
from flows.pipeline.privatise import Privatised
from flows.pipeline.record import record
from flows.pipeline.result import RunResult
from flows.pipeline.windows import prepare
from flows.recipe.recipe import Recipe
from flows.settings import Home
from flows.stream import release
from flows.stream.champion import Champion, adopt, champion
from flows.stream.names import in_use
from flows.tracking import Tracker
from flows.tracking.model_registry import Models
from models import checkpoint
from models.errors import ModelError
from models.forecaster import Forecaster
from models.predict import predict

JUDGED = "evaluated on released counts, noise included: free of charge, and higher than on raw ones"


@dataclass(frozen=True)
class Retrained:
    """A training and what became of its model.

    Attributes:
        result: of the training.
        promoted: whether its model is in use now.
        because: why, or why not.
        proof: checks of the noise, by name.
    """

    result: RunResult
    promoted: bool
    because: str
    proof: dict[str, bool]


def retrain(recipe: Recipe, home: Home) -> Retrained:
    """Train on everything that was released, and promote the model if it is proven and better.

    Nothing raw is read: the model learns from, and is judged on, counts that were noised.
    """
    started = time.perf_counter()
    counts = release.panel(recipe, home)
    promise = release.promise(recipe, counts, home)
    privatised = Privatised(inputs=counts, training=counts, promise=promise)
    prepared = prepare(privatised, counts, recipe.windows)
    with Tracker(home).run(recipe.model.name, in_use(recipe, home)) as run:
        fitted = fit.fit(prepared, recipe, promise, home, run.log_epoch)
        evaluation = evaluate.evaluate(fitted, prepared)
        completed = Completed(recipe, (), privatised, prepared, fitted, evaluation, started, JUDGED)
        result = record(completed, run, home)
    # judged on a period that neither has learnt from: the one in use was trained earlier
    return _decide(result, fitted.model, prepared.truth, counts, recipe, home)


def _decide(
    result: RunResult,
    model: Forecaster,
    test: Windows,
    counts: Panel,
    recipe: Recipe,
    home: Home,
) -> Retrained:
    name, run_id = in_use(recipe, home), str(result.run_id)
    from datetime import UTC, datetime

    store = open_store(home.database_url)
    append_run(store, Run(run_id, name, datetime.now(UTC), result.to_dict()))
    proof = prove(name, counts, home)
    if not all(proof.values()):
        failed = "; ".join(check for check, held in proof.items() if not held)
        return Retrained(result, False, f"not promoted: no proof of noise ({failed})", proof)
    present = champion(name, home)
    ours, theirs = daily_error(model, test), _error_of(present, test)
    if theirs is not None and not ours < theirs:
        why = f"not promoted: error {ours:.1f} on noised folds, the present model has {theirs:.1f}"
        return Retrained(result, False, why, proof)
    why = f"promoted: error {ours:.1f} on noised folds" + (
        ", the first model" if theirs is None else f", the model before had {theirs:.1f}"
    )
    tags = {
        "noised_folds_rmse": f"{ours:.6g}",
        "because": why,
        "unit": str(result.unit),
        "epsilon": str(result.epsilon),
        "delta": str(result.delta),
        "proof": "; ".join(proof),
    }
    adopt(name, Models(home).promote(name, run_id, tags), home)
    return Retrained(result, True, why, proof)


def prove(name: str, counts: Panel, home: Home) -> dict[str, bool]:
    """Checks that what a model learnt from is what the ledger released, and nothing else.

    Args:
        name: of the stream.
        counts: what the model learnt from.
        home: where store and ledger are.
    """
    ledger = Ledger(home.database_url)
    held = {
        "every piece was released under a committed charge": True,
        "what was learnt from is what was released, count by count": True,
    }
    committed, same = held
    left = counts.counts.notna().all(axis=1)
    for piece in panel_releases(open_store(home.database_url), name):
        entry = ledger.find(piece.key)
        if entry is None or entry.state != "released" or entry.purpose != "stream":
            held[committed] = False
            continue
        held[committed] &= entry.event["panel"].get("stream", name) == name
        kept = panel_of(ledger.released(piece.key)).dropna()
        held[committed] &= entry.event["sigma"] > 0 and entry.event["sigma"] == piece.sigma
        ours = counts.counts.reindex(kept.index)[list(kept.columns)]
        held[same] &= np.array_equal(ours.to_numpy(), kept.to_numpy(dtype=float))
        left.loc[left.index.intersection(kept.index)] = False
    held[same] &= not left.any()
    held["the ledger's chain and totals verify"] = verify(ledger).holds
    return held


def daily_error(model: Forecaster, windows: Windows) -> float:
    """Mean over the days (folds) of a period of the RMSE over steps and regions, in persons."""
    off = predict(model, windows) - windows.target
    days = windows.times.normalize()
    folds = [np.sqrt(np.mean(off[days == day] ** 2)) for day in days.unique()]
    return float(np.mean(folds))


def _error_of(present: Champion | None, windows: Windows) -> float | None:
    """The same of the model in use; None if there is none, or it reads other windows."""
    if present is None:
        return None
    try:
        return daily_error(checkpoint.load(present.files), windows)
    except ModelError:
        return None
