"""Learning rates for the points of a sweep: the same number tried for each, none of them charged.

Under `input` they are tried on noised counts, on weeks before the test week; under `gradient` on the
synthetic city, whose counts are nobody's, with the noise of the same promise.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

import numpy as np

from data.panel import Panel
from data.sources import synthetic
from flows.compare.backtest import Folds, compare
from flows.document import Document
from flows.pipeline.dpsgd.train import fit_privately
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import Privatised, noised
from flows.pipeline.windows import prepare
from flows.recipe.recipe import Recipe, from_dict
from flows.recipe.sections import SourceConfig
from flows.settings import Home, temporary_home
from models import metrics
from models.errors import ModelError
from models.predict import predict

Values = dict[str, Document]

LOWEST, HIGHEST = 1e-4, 1.0
"""Ends of the learning rates, whichever optimizer: what suits one is a thousandth of another's."""
_SEEDS = 2
_FOLDS = Folds(count=2)


def rates(trials: int) -> list[float]:
    """So many learning rates, evenly spaced on a logarithmic scale."""
    return [float(f"{rate:.3g}") for rate in np.geomspace(LOWEST, HIGHEST, trials)]


def best_rate(recipe: Values, trials: int, panel: Panel, home: Home) -> Document:
    """The learning rate with the least error, and all errors, in persons.

    Args:
        recipe: values of a point's recipe, seed 0.
        trials: how many learning rates.
        panel: raw; under `gradient` only its shape is looked at.
        home: where ledger and releases are; under `input` the release of draw 0 is used, and charged
            if it is not there.
    """
    base, tried = from_dict(recipe), {}
    for rate in rates(trials):
        one = replace(base, training=replace(base.training, learning_rate=rate))
        try:
            tried[rate] = _on_a_city(one, panel) if _private(one) else _on_folds(one, panel, home)
        except ModelError:  # it diverged
            tried[rate] = math.inf
    best = min(tried, key=lambda rate: tried[rate])
    finite = {f"{rate:g}": error if error < math.inf else None for rate, error in tried.items()}
    return {"learning_rate": best, "errors": finite}


def _private(recipe: Recipe) -> bool:
    return recipe.privacy.mechanism == "gradient"


def _on_folds(recipe: Recipe, panel: Panel, home: Home) -> float:
    counts, sigma = panel, 0.0
    if recipe.privacy.mechanism == "input":
        counts, made = noised(panel, recipe, home)
        sigma = made.noise.sigma
    prepared = prepare(Privatised(counts, counts, Guarantee()), panel, recipe.windows)
    return float(compare(prepared, recipe, _FOLDS, sigma)["rmse"]["mean"])


def _on_a_city(recipe: Recipe, panel: Panel) -> float:
    """Error on the last week of a made-up city with as many regions."""
    city = synthetic.panel(synthetic.named(regions=len(panel.regions)))
    public = SourceConfig(name=city.source, max_count=recipe.source.max_count)
    errors = []
    with temporary_home() as home:
        for seed in range(_SEEDS):
            training = replace(recipe.training, seed=seed)
            one = replace(recipe, source=public, training=training)
            prepared = prepare(Privatised(city, city, Guarantee()), city, one.windows, repair=False)
            model, *_ = fit_privately(prepared, one, Guarantee(), home, lambda _epoch, _spent: None)
            truth = prepared.truth
            errors.append(metrics.rmse(predict(model, truth), truth.target, truth.regions).mean)
    return statistics.fmean(errors)
