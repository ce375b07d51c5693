"""Training of the forecaster that a recipe asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from data.windows import Windows
from flows import gradient, progress
from flows.prepare import Prepared
from flows.promise import Promise
from flows.recipe import Recipe
from flows.settings import Home
from models.backtest import backtest
from models.config import HEADS
from models.conformal import Intervals, calibrate
from models.forecaster import Forecaster
from models.kinds import fit as fit_model
from models.kinds import new
from models.training import Epoch, History

Log = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Fitted:
    """A trained forecaster, how it got there, what it promises, and how far off it may be."""

    model: Forecaster
    history: History
    promise: Promise
    intervals: Intervals | None = None


def fit(prepared: Prepared, recipe: Recipe, promise: Promise, home: Home, log: Log) -> Fitted:
    """Train on the training windows, stop by the validation windows; the test windows stay unseen.

    Args:
        prepared: windows by use.
        recipe: what to train and how.
        promise: of the counts that are read.
        home: where ledger and releases are.
        log: called after every epoch with its number and figures.
    """

    def on_epoch(epoch: Epoch, spent: dict[str, float]) -> None:
        progress.epoch(epoch, spent)
        figures = {"loss": epoch.loss, **spent}
        if epoch.validation is not None:
            figures["validation_rmse"] = epoch.validation
        log(epoch.number, figures)

    if recipe.privacy.mechanism == "gradient":
        return Fitted(*gradient.fit_privately(prepared, recipe, promise, home, on_epoch))
    parts = prepared.split
    model = fresh(prepared, recipe)
    validation = parts.validation if len(parts.validation) else None
    history = fit_model(
        model, parts.train, validation, recipe.training, on_epoch=lambda epoch: on_epoch(epoch, {})
    )
    return Fitted(model, history, promise, _intervals(prepared, recipe))


def fresh(prepared: Prepared, recipe: Recipe) -> Forecaster:
    """The recipe's forecaster before it has learned anything."""
    config = recipe.model.forecaster(prepared.learning.regions, prepared.spec)
    solver = recipe.training.optimizer if recipe.model.name in HEADS else None
    return new(config, seed=recipe.training.seed, solver=solver)


def learner(prepared: Prepared, recipe: Recipe) -> Callable[[Windows], Forecaster]:
    """What makes the recipe's forecaster of training windows; nothing decides when it stops."""

    def learn(windows: Windows) -> Forecaster:
        model = fresh(prepared, recipe)
        fit_model(model, windows, None, replace(recipe.training, patience=None))
        return model

    return learn


def _intervals(prepared: Prepared, recipe: Recipe) -> Intervals | None:
    """Prediction intervals from a period that a second model has not seen."""
    size = prepared.calibration
    if not size:
        return None
    (fold,) = backtest(learner(prepared, recipe), prepared.learning, folds=1, size=size)
    return calibrate(fold.forecast, fold.windows)
