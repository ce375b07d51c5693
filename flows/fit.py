"""Training of the forecaster that a recipe asks for."""

from __future__ import annotations

from dataclasses import dataclass

from flows import progress
from flows.prepare import Prepared
from flows.recipe import Recipe
from models.forecaster import Forecaster, fit_scaler, new
from models.training import History, train


@dataclass(frozen=True)
class Fitted:
    """A trained forecaster and how it got there."""

    model: Forecaster
    history: History


def fit(prepared: Prepared, recipe: Recipe) -> Fitted:
    """Train on the training windows, stop by the validation windows; the test windows stay unseen."""
    parts = prepared.split
    model = new(
        recipe.model.forecaster(parts.train.regions, prepared.spec), seed=recipe.training.seed
    )
    fit_scaler(model, parts.train)
    validation = parts.validation if len(parts.validation) else None
    return Fitted(
        model, train(model, parts.train, validation, recipe.training, on_epoch=progress.epoch)
    )
