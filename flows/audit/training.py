"""Audit of a private training: canaries beside a training on a made-up city, and planted intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from data.clean import fill_gaps
from data.panel import Panel
from data.sources import synthetic
from data.windows import make
from dp.audit import Guesses, Measured, measure, plan
from dp.audit.gradients import Scores, Training
from dp.audit.gradients import plant as plant_gradients
from dp.budget import Budget
from dp.mechanisms.window_sampling import WindowSampling
from flows.pipeline.dpsgd.train import fit_privately
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import Privatised
from flows.pipeline.windows import Prepared, prepare
from flows.recipe.recipe import Recipe
from flows.recipe.sections import SourceConfig
from flows.settings import temporary_home
from models.batch import to_device
from models.forecaster import Forecaster, fit_scaler
from models.forecasters import new
from models.predict import predict
from models.training.losses import per_window

_MOST_PLANTED = 200
_FEWEST_PLANTED = 20


def on_a_city(recipe: Recipe, regions: int | None, minutes: int | None) -> tuple[Panel, Recipe]:
    """Return a made-up city of the same shape, and the recipe that reads it instead of its source.

    Args:
        recipe: what is audited; one that reads a made-up city keeps it.
        regions: number of regions; None for the recipe's city or the default.
        minutes: length of an interval; None for the default.
    """
    name = recipe.source.name
    if name.partition(":")[0] != "synthetic" or regions is not None:
        interval = f"{minutes}min" if minutes else None
        name = synthetic.named(regions=regions, interval=interval)
    source = SourceConfig(name=name, max_count=recipe.source.max_count)
    return synthetic.panel(name), replace(recipe, source=source)


def windows_of(panel: Panel, recipe: Recipe) -> Prepared:
    """Return the windows that a private training reads."""
    raw = Privatised(panel, panel, Guarantee())
    return prepare(raw, panel, recipe.windows, repair=False)


def white_box(
    recipe: Recipe,
    sampling: WindowSampling,
    prepared: Prepared,
    claimed: Budget,
    canaries: int,
    confidence: float,
) -> tuple[Scores, Guesses, tuple[Measured, ...]]:
    """Plant canaries among the windows of the city, and score them by every noised gradient.

    Args:
        recipe: model, loss and clip.
        sampling: the mechanism that is audited.
        prepared: windows of the city.
        claimed: epsilon and delta of `sampling`.
        canaries: number of canaries, m.
        confidence: confidence of each bound.
    """
    guesses = plan(canaries, claimed, confidence)
    windows = prepared.split.train
    model = new(recipe.model.forecaster(windows.regions, prepared.spec), recipe.training.seed)
    fit_scaler(model, windows)
    batch = to_device(windows, torch.device("cpu"))
    training = Training(model, batch.take, per_window(recipe.training.loss), len(windows))
    seen = plant_gradients(sampling, recipe.training.grad_norm, canaries, training=training)
    return seen, guesses, measure(guesses, seen.scores, seen.included)


def black_box(
    recipe: Recipe, panel: Panel, width: int, claimed: Budget, confidence: float
) -> tuple[int, tuple[Measured, ...]] | None:
    """Double or empty intervals of the city by a coin, and score them by the trained model's losses.

    Args:
        recipe: recipe that reads the city; trained in a temporary home.
        panel: the city.
        width: consecutive intervals that a privacy unit may change.
        claimed: epsilon and delta.
        confidence: confidence of each bound.

    Returns:
        Number of canaries and the bounds; None if too few units have intervals of their own.
    """
    first = windows_of(panel, recipe)
    train = first.split.train
    starts = panel.times.get_indexer(train.times)[:: 2 * width][:-1]
    canaries = min(_MOST_PLANTED, len(starts))
    if canaries < _FEWEST_PLANTED:
        return None
    guesses = plan(canaries, claimed, confidence)
    rng = np.random.default_rng()
    starts = np.sort(rng.choice(starts, canaries, replace=False))
    coins = rng.random(canaries) < 0.5
    values = panel.values.copy()
    for start, up in zip(starts, coins, strict=True):
        values[start : start + width] *= 2.0 if up else 0.0
    planted = panel.with_values(values)
    with temporary_home() as home:
        model, *_ = fit_privately(
            windows_of(planted, recipe), recipe, Guarantee(), home, lambda _epoch, _spent: None
        )
    scores = _losses(model, panel, first, starts, width)
    return canaries, measure(guesses, scores, coins)


def _losses(
    model: Forecaster, panel: Panel, prepared: Prepared, starts: NDArray[np.int64], width: int
) -> NDArray[np.float64]:
    """Return how much better the doubled intervals fit than the emptied ones, [m]."""
    windows = make(fill_gaps(panel), panel, prepared.spec)
    at = panel.times.get_indexer(windows.times)
    forecast = predict(model, windows)[:, 0]
    target = windows.target[:, 0]
    better = (forecast**2 - (forecast - 2 * target) ** 2) / model.step.numpy() ** 2
    gain = np.zeros(len(panel.times))
    gain[at] = better.mean(axis=1)
    return np.array([gain[start : start + width].sum() for start in starts])
