"""Training of the forecaster that a recipe asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flows import gradient, progress
from flows.prepare import Prepared
from flows.promise import Promise
from flows.recipe import Recipe
from flows.settings import Home
from models.forecaster import Forecaster, fit_scaler, new
from models.training import Epoch, History, train

Log = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Fitted:
    """A trained forecaster, how it got there, and what it promises."""

    model: Forecaster
    history: History
    promise: Promise


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
    model = new(
        recipe.model.forecaster(parts.train.regions, prepared.spec), seed=recipe.training.seed
    )
    fit_scaler(model, parts.train)
    validation = parts.validation if len(parts.validation) else None
    history = train(
        model, parts.train, validation, recipe.training, on_epoch=lambda epoch: on_epoch(epoch, {})
    )
    return Fitted(model, history, promise)
