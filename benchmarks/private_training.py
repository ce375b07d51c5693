"""What each default of gradient perturbation is worth: error on the synthetic city, by change.

Every line changes one thing about the regime of `flows/recipe/defaults.py`; mean ± sd over seeds, and
the ratio to the regime in the same run. The synthetic city holds nobody's data: looking at it costs
nothing.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from data.panel import Panel
from data.sources import synthetic as made_up
from data.split import Split, split
from data.windows import make
from dp.ledger import Charge, Ledger
from dp.mechanisms.scale import estimate, scale_noise
from dp.mechanisms.window_sampling import WindowSampling, calibrate_sampling
from dp.private.training import PrivateTraining
from dp.release.panel import period_of
from dp.unit.privacy_unit import IntervalUnit
from dp.unit.window_reach import WindowReach
from flows.recipe.load import override
from flows.recipe.recipe import Recipe, from_dict
from models import metrics
from models.baselines import persistence
from models.batch import to_device
from models.forecaster import fit_scaler, set_scaler
from models.forecasters import new
from models.predict import predict
from models.training.losses import per_window
from models.training.train import train

CHANGES: dict[str, list[str]] = {
    "the regime": [],
    "lags 1": ["windows.lags=1"],
    "lags 6": ["windows.lags=6"],
    "no seasonal lags": ["windows.seasonal=[]"],
    "a week alone": ['windows.seasonal=["7d"]'],
    "hidden 8": ["model.hidden=8"],
    "hidden 64": ["model.hidden=64"],
    "no linear skip": ["model.linear_skip=false"],
    "batch 128": ["training.batch_size=128"],
    "batch 2048": ["training.batch_size=2048"],
    "20 epochs": ["training.epochs=20"],
    "80 epochs": ["training.epochs=80"],
    "learning rate 0.003": ["training.learning_rate=0.003"],
    "learning rate 0.03": ["training.learning_rate=0.03"],
    "cosine schedule": ['training.schedule="cosine"'],
    "no average": [],
    "average 0.98": ["training.average=0.98"],
    "clip 0.3": ["training.grad_norm=0.3"],
    "clip 3": ["training.grad_norm=3.0"],
    "scaler from raw counts (not private)": [],
}


@dataclass(frozen=True)
class Trained:
    """One private training on made-up people.

    Attributes:
        sampling: batches and noise, with their account.
        rmse: mean over the regions on the test week, persons.
        loss: mean over all training windows of the weights that are kept.
    """

    sampling: WindowSampling
    rmse: float
    loss: float


def recipe_of(epsilon: float, seed: int, settings: Sequence[str] = ()) -> Recipe:
    """The regime of gradient perturbation with some settings of its own."""
    values = {"privacy": {"mechanism": "gradient", "unit": "interval-1", "epsilon": epsilon}}
    return from_dict(override(values, [*settings, f"training.seed={seed}"]))


def synthetic() -> Panel:
    return made_up.panel()


def windows_of(panel: Panel, recipe: Recipe) -> Split:
    """Training windows, and those of the last week."""
    made = make(panel, panel, recipe.windows.spec(panel))
    return split(made, test=panel.steps("7d"), validation=0)


def train_privately(
    name: str,
    recipe: Recipe,
    panel: Panel,
    *,
    average: bool = True,
    raw_scaler: bool = False,
) -> Trained:
    """Calibrate, charge, train and measure, all for this recipe alone."""
    training, spec = recipe.training, recipe.windows.spec(panel)
    if not average:
        training = replace(training, average=None)
    parts = windows_of(panel, recipe)
    budget = recipe.privacy.budget
    intervals = len(panel.times) - panel.steps("7d")
    side_release = scale_noise(budget, width=1, intervals=intervals, regions=len(panel.regions))
    sampling = calibrate_sampling(
        budget,
        windows=len(parts.train),
        batch=training.batch_size,
        steps=training.epochs * -(-len(parts.train) // training.batch_size),
        hit=WindowReach(spec.lags, spec.seasonal, spec.horizon).affected(1),
        side_release=side_release,
    )
    # Drawing needs a permit here as everywhere; this ledger is in memory and dropped with the run.
    ledger = Ledger("sqlite://")
    charge = Charge(
        key=name,
        dataset="synthetic",
        fingerprint=panel.source,
        period=period_of(panel.counts),
        unit=IntervalUnit(1),
        epsilon=budget.epsilon,
        delta=budget.delta,
        event=sampling.event(),
        purpose="training",
    )
    permit = ledger.commit(ledger.reserve(charge))
    found = estimate(panel.values[:intervals], side_release, permit, width=1)
    model = new(recipe.model.forecaster(panel.regions, spec), training.seed)
    if raw_scaler:
        fit_scaler(model, parts.train)
    else:
        set_scaler(model, found.mean, found.spread, found.step)
    updates = PrivateTraining(sampling, training.grad_norm, permit)
    train(model, parts.train, None, training, updates=updates)
    with torch.no_grad():
        loss = per_window(training.loss)(model, to_device(parts.train, model.mean.device)).mean()
    rmse = metrics.rmse(predict(model, parts.test), parts.test.target, panel.regions).mean
    return Trained(sampling, rmse, float(loss))


def error(change: str, settings: list[str], panel: Panel, epsilon: float, seed: int) -> float:
    return train_privately(
        change,
        recipe_of(epsilon, seed, settings),
        panel,
        average=change != "no average",
        raw_scaler=change.startswith("scaler from raw"),
    ).rmse


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--epsilon", type=float, default=7.5)
    options.add_argument("--seeds", type=int, default=5)
    asked = options.parse_args()
    torch.set_num_threads(1)
    panel = synthetic()
    points, base = [], 0.0
    for change, settings in CHANGES.items():
        errors = [
            error(change, settings, panel, asked.epsilon, seed) for seed in range(asked.seeds)
        ]
        mean = statistics.fmean(errors)
        base = base or mean
        points.append(
            {
                "change": change,
                "rmse": round(mean, 2),
                "sd": round(statistics.stdev(errors), 2),
                "ratio": round(mean / base, 3),
            }
        )
        print(json.dumps(points[-1]), flush=True)
    spec = from_dict({}).windows.spec(panel)
    test = split(make(panel, panel, spec), test=panel.steps("7d"), validation=0).test
    still = metrics.rmse(persistence(test), test.target, panel.regions).mean
    print(
        json.dumps(
            {
                "source": "synthetic",
                "unit": "interval-1",
                "epsilon": asked.epsilon,
                "delta": 1e-7,
                "neighbours": "change all values of one unit",
                "seeds": asked.seeds,
                "persistence": round(still, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
