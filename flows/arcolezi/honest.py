"""Honest selection: forecasters are chosen on weeks before the test week, which is scored once."""

from __future__ import annotations

from dataclasses import dataclass

from data.panel import Panel
from flows.arcolezi.published import DELTA, REGIONS
from flows.compare.backtest import Folds, compare
from flows.document import Document
from flows.pipeline.dpsgd.train import fit_privately
from flows.pipeline.fit import learner
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import Privatised, noised
from flows.pipeline.windows import Prepared, prepare
from flows.recipe.load import load
from flows.recipe.recipe import Recipe, from_dict
from flows.settings import Home
from models import metrics
from models.forecaster import Forecaster
from models.predict import predict

MODELS = ("ridge", "fourier", "trees", "blend", "lstm", "gru", "bilstm", "bigru")


@dataclass(frozen=True)
class Privacy:
    """A promise to compare under; `unit` None for no privacy."""

    unit: str | None = None
    epsilon: float | None = None

    @property
    def title(self) -> str:
        """The promise in words; epsilon with its delta and its neighbours."""
        if self.unit is None:
            return "no privacy"
        return f"input, {self.unit}, ε = {self.epsilon:g} at δ = {DELTA:g} (add or remove)"


QUESTION = Privacy("user-interval", 1.0)
"""The promise under which input and gradient perturbation are compared."""
SETTINGS = (
    Privacy(),
    Privacy("user-day", 1.0),
    *(Privacy("user", epsilon) for epsilon in (1.0, 0.5, 0.25)),
)


def recipe(privacy: Privacy, model: str, seed: int, epochs: int | None) -> Recipe:
    """Return the recipe `paris` under a promise; each seed has its own charged draw of the noise."""
    values = load("paris")
    values["privacy"] = {"mechanism": "none", "delta": DELTA, "draw": seed}
    if privacy.unit is not None:
        values["privacy"] |= {
            "mechanism": "input",
            "unit": privacy.unit,
            "epsilon": privacy.epsilon,
        }
    values.setdefault("model", {})["name"] = model
    values.setdefault("training", {})["seed"] = seed
    if epochs is not None:
        values["training"]["epochs"] = epochs
    return from_dict(values)


def windows_of(panel: Panel, recipe: Recipe, home: Home) -> tuple[Prepared, float]:
    """Return windows under the promise, and σ of each count's own noise; only the first call charges."""
    if recipe.privacy.mechanism == "none":
        return prepare(Privatised(panel, panel, Guarantee()), panel, recipe.windows), 0.0
    counts, details = noised(panel, recipe, home)
    return prepare(
        Privatised(counts, counts, Guarantee()), panel, recipe.windows
    ), details.noise.sigma


def on_folds(prepared: Prepared, recipe: Recipe, sigma: float, folds: int) -> float:
    """Return the mean RMSE over regions and the weeks before the test week, in persons.

    Under a promise nothing raw is read.
    """
    return float(compare(prepared, recipe, Folds(count=folds), sigma)["rmse"]["mean"])


def by_gradient(
    panel: Panel, privacy: Privacy, seed: int, epochs: int | None, home: Home
) -> Document:
    """Return errors of a BiGRU trained by DP-SGD under the same promise, charged once per seed.

    Forecasts read raw recent counts, which the promise does not cover.
    """
    values: dict[str, Document] = {
        "source": {"name": panel.source},
        "privacy": {
            "mechanism": "gradient",
            "unit": privacy.unit,
            "epsilon": privacy.epsilon,
            "delta": DELTA,
            "draw": seed,
        },
        "training": {"seed": seed} | ({} if epochs is None else {"epochs": epochs}),
    }
    gradient = from_dict(values)
    prepared = prepare(Privatised(panel, panel, Guarantee()), panel, gradient.windows, repair=False)
    model, _, guarantee = fit_privately(
        prepared, gradient, Guarantee(), home, lambda _epoch, _spent: None
    )
    return {**_errors(model, prepared), "epsilon": guarantee.epsilon}


def on_the_test_week(prepared: Prepared, recipe: Recipe) -> Document:
    """Return RMSE and MAE of a forecaster trained on all earlier weeks, against raw counts."""
    return _errors(learner(prepared, recipe)(prepared.learning), prepared)


def _errors(model: Forecaster, prepared: Prepared) -> Document:
    truth, forecast = prepared.truth, predict(model, prepared.truth)
    result = {}
    for name, metric in (("RMSE", metrics.rmse), ("MAE", metrics.mae)):
        scores = metric(forecast, truth.target, truth.regions)
        result[name] = {
            **dict(zip(REGIONS, scores.regions.values(), strict=True)),
            "mean": scores.mean,
        }
    return result
