"""Backtests: forecasters compared on the weeks before the test week, which is not read."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

import numpy as np
from prefect import flow

from flows.document import Document
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
from models.metrics import RegionMetric


@dataclass(frozen=True)
class Folds:
    """Periods on which forecasters are compared.

    Attributes:
        count: number of consecutive periods, the last of them just before the test period.
        length: length of each.
        seeds: number of trainings of each forecaster.
        refit: whether to train before each period, or only before the first.
    """

    count: int = 4
    length: str = "7d"
    seeds: int = 1
    refit: bool = True


@flow(name="backtest", persist_result=False)
def backtest(recipe: Document, models: list[str], folds: Folds) -> Document:
    """Compare forecasters without touching the test period.

    Args:
        recipe: values of a recipe, whose model is compared if no other is named.
        models: names of forecasters.
        folds: periods and number of trainings.

    Returns:
        The document of `veilcast backtest --json`; `rows` has, per forecaster, errors as mean and
        standard deviation over seeds.

    Raises:
        UsageError: under gradient perturbation, where every training would be charged.
        DataError: too few windows before the test period.
    """
    base, home = from_dict(recipe), open_home()
    if base.privacy.mechanism == "gradient":
        raise UsageError(
            f"under mechanism=gradient each of {folds.count * folds.seeds} trainings would be "
            "charged; compare on --source synthetic with mechanism=none, or under mechanism=input, "
            "where choosing is free"
        )
    recipes = [_with_model(base, name) for name in models or [base.model.name]]
    table = ingest_step(base)
    raw, _ = validate_step(table, base.source.max_gap)
    privatised = privatise_step(raw, base, home)
    prepared = window_step(privatised, raw, base)
    guarantee = privatised.guarantee
    progress.stage("backtest", steps=len(recipes))
    rows = []
    for number, compared in enumerate(recipes):
        progress.stage_at(f"backtest: {compared.model.name}", number)
        rows.append(compare(prepared, compared, folds, guarantee.sigma_unshared or 0.0))
    return {
        "source": raw.source,
        "mechanism": base.privacy.mechanism,
        "unit": guarantee.unit,
        "epsilon": guarantee.epsilon,
        "delta": guarantee.delta,
        "neighbours": guarantee.neighbours,
        "folds": asdict(folds),
        "evaluation": "against noised counts, which is free; the noise is taken off the RMSE, and is "
        f"still in all other columns (standard deviation {guarantee.sigma:.1f} persons)"
        if guarantee.sigma
        else "evaluated on raw data, not a private release",
        "rows": rows,
    }


def compare(prepared: Prepared, recipe: Recipe, folds: Folds, sigma: float) -> Document:
    """Return the errors of one forecaster on the folds, in persons.

    Args:
        prepared: windows under a promise.
        recipe: forecaster and training.
        folds: periods and number of trainings.
        sigma: standard deviation of the noise that every target has of its own; its variance is
            subtracted. An offset that targets share with what they are forecast from is in the forecasts
            as well, so that errors do not hold it.
    """
    size = prepared.raw.steps(folds.length)
    runs = []
    for seed in range(folds.seeds):
        seeded = replace(recipe, training=replace(recipe.training, seed=seed))
        learn = learner(prepared, seeded)
        results = on_folds(
            learn, prepared.learning, folds=folds.count, size=size, refit=folds.refit
        )
        runs.append(_errors(results, sigma))
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
    """Return means over regions and folds; a fold's intervals are calibrated on the fold before."""
    squared = [np.square(fold.forecast - fold.windows.target).mean(axis=(0, 1)) for fold in folds]
    errors = {
        "rmse": float(
            np.mean([np.sqrt(np.maximum(error - sigma**2, 0.0)).mean() for error in squared])
        ),
        "mae": _mean(folds, metrics.mae),
        "smape": _mean(folds, metrics.smape),
    }
    covered = []
    for before, fold in pairwise(folds):
        low, high = fit_intervals(before.forecast, before.windows, (0.9,)).around(
            fold.forecast, fold.windows, 0.9
        )
        covered.append(metrics.coverage(low, high, fold.windows.target, fold.windows.regions).mean)
    return errors | ({"coverage 0.9": float(np.mean(covered))} if covered else {})


def _mean(folds: tuple[Fold, ...], metric: Callable[..., RegionMetric]) -> float:
    scores = [
        metric(fold.forecast, fold.windows.target, fold.windows.regions).mean for fold in folds
    ]
    return float(np.mean(scores))


def _with_model(recipe: Recipe, model: str) -> Recipe:
    try:
        return replace(recipe, model=replace(recipe.model, name=model))
    except ValueError as error:
        raise UsageError(str(error)) from None
