"""Forecasters compared on weeks before the test week: what to choose by, and nothing else looked at."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from prefect import flow

from flows.errors import UsageError
from flows.pipeline.fit import learner
from flows.pipeline.steps import ingest_step, privatise_step, validate_step, window_step
from flows.pipeline.windows import Prepared
from flows.recipe.recipe import Recipe, from_dict
from flows.runtime import progress
from flows.settings import open_home
from models import metrics
from models.backtest import Fold
from models.backtest import backtest as on_folds
from models.conformal import fit_intervals


@dataclass(frozen=True)
class Folds:
    """How forecasters are compared.

    Attributes:
        count: periods, one after the other, the last of them just before the test period.
        length: of each.
        seeds: trainings of each forecaster.
        refit: whether to train anew before each period, or once before the first.
    """

    count: int = 4
    length: str = "7d"
    seeds: int = 1
    refit: bool = True


@flow(name="backtest", persist_result=False)
def backtest(recipe: dict[str, Any], models: list[str], folds: Folds) -> dict[str, Any]:
    """Compare forecasters without touching the test period.

    Args:
        recipe: values of a recipe; its model is compared where no other is named.
        models: names of forecasters.
        folds: on which periods, how often.

    Returns:
        `rows`, one a forecaster: errors as mean and standard deviation over seeds.

    Raises:
        UsageError: under gradient perturbation, where every training would be charged.
        DataError: too few windows before the test period.
    """
    asked, home = from_dict(recipe), open_home()
    if asked.privacy.mechanism == "gradient":
        raise UsageError(
            f"under mechanism=gradient each of {folds.count * folds.seeds} trainings would be "
            "charged; compare on --source synthetic with mechanism=none, or under mechanism=input, "
            "where choosing is free"
        )
    recipes = [_with(asked, name) for name in models or [asked.model.name]]
    table = ingest_step(asked)
    raw, _ = validate_step(table, asked.source.max_gap)
    privatised = privatise_step(raw, asked, home)
    prepared = window_step(privatised, raw, asked)
    promise = privatised.promise
    progress.stage("backtest", steps=len(recipes))
    rows = []
    for number, one in enumerate(recipes):
        progress.stage_at(f"backtest: {one.model.name}", number)
        rows.append(compare(prepared, one, folds, promise.sigma or 0.0))
    return {
        "source": raw.source,
        "mechanism": asked.privacy.mechanism,
        "unit": promise.unit,
        "epsilon": promise.epsilon,
        "delta": promise.delta,
        "neighbours": promise.neighbours,
        "folds": asdict(folds),
        "evaluation": "against noised counts, which is free; the noise is taken off the RMSE, and is "
        f"still in all other columns (standard deviation {promise.sigma:.1f} persons)"
        if promise.sigma
        else "evaluated on raw data, not a private release",
        "rows": rows,
    }


def compare(prepared: Prepared, recipe: Recipe, folds: Folds, sigma: float) -> dict[str, Any]:
    """Errors of one forecaster on the folds, in persons.

    Args:
        prepared: windows under a promise.
        recipe: forecaster and training.
        folds: how often, how long.
        sigma: standard deviation of the noise in the targets; its variance is taken off.
    """
    size = prepared.raw.steps(folds.length)
    runs = []
    for seed in range(folds.seeds):
        seeded = replace(recipe, training=replace(recipe.training, seed=seed))
        learn = learner(prepared, seeded)
        found = on_folds(learn, prepared.learning, folds=folds.count, size=size, refit=folds.refit)
        runs.append(_errors(found, sigma))
    return {
        "model": recipe.model.name,
        **{
            name: {
                "mean": statistics.fmean(run[name] for run in runs),
                "sd": statistics.stdev(run[name] for run in runs) if len(runs) > 1 else None,
            }
            for name in runs[0]
        },
    }


def _errors(folds: tuple[Fold, ...], sigma: float) -> dict[str, float]:
    """Means over regions and folds; intervals of each fold are calibrated on the one before it."""
    squared = [np.square(one.forecast - one.windows.target).mean(axis=(0, 1)) for one in folds]
    found = {
        "rmse": float(
            np.mean([np.sqrt(np.maximum(one - sigma**2, 0.0)).mean() for one in squared])
        ),
        "mae": _mean(folds, metrics.mae),
        "smape": _mean(folds, metrics.smape),
    }
    held = []
    for before, one in pairwise(folds):
        low, high = fit_intervals(before.forecast, before.windows, (0.9,)).around(
            one.forecast, one.windows, 0.9
        )
        held.append(metrics.coverage(low, high, one.windows.target, one.windows.regions).mean)
    return found | ({"coverage 0.9": float(np.mean(held))} if held else {})


def _mean(folds: tuple[Fold, ...], metric: Any) -> float:
    scores = [metric(one.forecast, one.windows.target, one.windows.regions).mean for one in folds]
    return float(np.mean(scores))


def _with(recipe: Recipe, model: str) -> Recipe:
    try:
        return replace(recipe, model=replace(recipe.model, name=model))
    except ValueError as error:
        raise UsageError(str(error)) from None
