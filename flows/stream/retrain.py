"""Retraining: a new model from released counts, promoted if it is better than the one in use."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

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
from flows.stream.publish import deviation_of
from flows.tracking import Tracker
from flows.tracking.model_registry import Models
from models import checkpoint
from models.errors import ModelError
from models.forecaster import Forecaster
from models.predict import predict

JUDGED = "evaluated on released counts, noise included: free of charge, and higher than on raw ones"


@dataclass(frozen=True)
class Retrained:
    """Result of a retraining.

    Attributes:
        result: of the training.
        promoted: whether the new model is in use now.
        because: the reason for that.
        proof: results of the provenance checks by name.
    """

    result: RunResult
    promoted: bool
    because: str
    proof: dict[str, bool]


def retrain(recipe: Recipe, home: Home) -> Retrained:
    """Train on all released counts; promote the model if its provenance verifies and it is better.

    Nothing raw is read: the model is trained and evaluated on noised counts.
    """
    started = time.perf_counter()
    counts = release.panel(recipe, home)
    guarantee = release.guarantee(recipe, counts, home)
    privatised = Privatised(inputs=counts, training=counts, guarantee=guarantee)
    prepared = prepare(privatised, counts, recipe.windows)
    with Tracker(home).run(recipe.model.name, in_use(recipe, home)) as run:
        fitted = fit.fit(prepared, recipe, guarantee, home, run.log_epoch)
        evaluation = evaluate.evaluate(fitted, prepared)
        completed = Completed(recipe, (), privatised, prepared, fitted, evaluation, started, JUDGED)
        result = record(completed, run, home)
    # evaluated on a period unseen by both models: the one in use was trained earlier
    return _decide(result, fitted.model, prepared.truth, counts, recipe, home)


def _decide(
    result: RunResult,
    model: Forecaster,
    test: Windows,
    counts: Panel,
    recipe: Recipe,
    home: Home,
) -> Retrained:
    name, run_id = in_use(recipe, home), result.run_id
    store = open_store(home.database_url)
    append_run(store, Run(run_id, name, datetime.now(UTC), result.to_dict()))
    proof = verify_provenance(name, counts, home)
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


def verify_provenance(name: str, counts: Panel, home: Home) -> dict[str, bool]:
    """Check that a model's training counts are what the ledger released, and nothing else.

    Args:
        name: of the stream.
        counts: the counts that the model was trained on.
        home: where store and ledger are.

    Returns:
        Whether each check holds, by its description.
    """
    ledger = Ledger(home.database_url)
    held = {
        "every piece was released under a committed charge": True,
        "what was learnt from is what was released, count by count": True,
    }
    committed, same = held
    unaccounted = counts.counts.notna().all(axis=1)
    for piece in panel_releases(open_store(home.database_url), name):
        entry = ledger.find(piece.key)
        if entry is None or entry.state != "released" or entry.purpose != "stream":
            held[committed] = False
            continue
        held[committed] &= entry.event["panel"].get("stream", name) == name
        released = panel_of(ledger.released(piece.key)).dropna()
        held[committed] &= entry.event["sigma"] > 0 and deviation_of(entry.event) == piece.sigma
        ours = counts.counts.reindex(released.index)[list(released.columns)]
        held[same] &= np.array_equal(ours.to_numpy(), released.to_numpy(dtype=float))
        unaccounted.loc[unaccounted.index.intersection(released.index)] = False
    held[same] &= not unaccounted.any()
    held["the ledger's chain and totals verify"] = verify(ledger).holds
    return held


def daily_error(model: Forecaster, windows: Windows) -> float:
    """Return the mean over days (folds) of the RMSE over steps and regions, in persons."""
    off = predict(model, windows) - windows.target
    days = windows.times.normalize()
    folds = [np.sqrt(np.mean(off[days == day] ** 2)) for day in days.unique()]
    return float(np.mean(folds))


def _error_of(present: Champion | None, windows: Windows) -> float | None:
    """Return the same error for the model in use; None if there is none or it reads other windows."""
    if present is None:
        return None
    try:
        return daily_error(checkpoint.load(present.files), windows)
    except ModelError:
        return None
