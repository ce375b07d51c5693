"""Training of the forecaster that a recipe asks for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from data.windows import Windows
from dp.clipping import Stack
from dp.errors import ReleaseLostError
from dp.mechanisms.seed import Seed
from flows.pipeline.dpsgd import train
from flows.pipeline.dpsgd.run import PrivateJob
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.windows import Prepared
from flows.recipe.recipe import Recipe
from flows.runtime import progress
from flows.settings import Home
from models.backtest import backtest
from models.conformal import Intervals, fit_intervals
from models.diagnostics.weight_distance import WeightDistance
from models.errors import ModelError
from models.forecaster import Forecaster, fit_scaler
from models.forecasters import fit as fit_model
from models.forecasters import new
from models.registry import HEADS, NETWORKS
from models.training.stacked import Job, train_together
from models.training.train import Epoch, History

Log = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Fitted:
    """A trained forecaster, how it got there, what it promises, and how far off it may be."""

    model: Forecaster
    history: History
    guarantee: Guarantee
    intervals: Intervals | None = None


@dataclass(frozen=True)
class Fit:
    """One training that is to be done.

    Attributes:
        prepared: windows by use.
        recipe: what to train and how.
        guarantee: of the counts that are read.
        home: where ledger and releases are.
        log: called after every epoch with its number and figures.
        seed: of the noise of a private training, if it is to be repeatable should it be lost.
        again: whether a private training that was charged before and lost may be paid for once more.
    """

    prepared: Prepared
    recipe: Recipe
    guarantee: Guarantee
    home: Home
    log: Log
    seed: Seed | None = None
    again: bool = True

    def on_epoch(self, epoch: Epoch, spent: dict[str, float]) -> None:
        """Tell people and the tracker."""
        progress.epoch(epoch, spent)
        figures = {"loss": epoch.loss, "validation_rmse": epoch.validation}
        known = {name: value for name, value in figures.items() if value is not None}
        self.log(epoch.number, {**known, **spent})


def fit(prepared: Prepared, recipe: Recipe, guarantee: Guarantee, home: Home, log: Log) -> Fitted:
    """Train on the training windows, stop by the validation windows; the test windows stay unseen.

    Args:
        prepared: windows by use.
        recipe: what to train and how.
        guarantee: of the counts that are read.
        home: where ledger and releases are.
        log: called after every epoch with its number and figures.

    Raises:
        ModelError: training failed.
    """
    (fitted,) = fit_together([Fit(prepared, recipe, guarantee, home, log)])
    if isinstance(fitted, ModelError | ReleaseLostError):
        raise fitted
    return fitted


def fit_together(jobs: Sequence[Fit]) -> list[Fitted | ModelError | ReleaseLostError]:
    """Fit many at once; those of one architecture are one computation (docs/sweeps.md).

    Runs that read the same `Prepared` share its windows. Everything private is charged, noised and
    proven run by run, as many at a time as train at a time.

    Args:
        jobs: of any kind, in any order; what cannot be stacked trains by itself.

    Returns:
        What each `fit` would return, or the error it would raise once training has begun: one that
        fails does not stop the others.

    Raises:
        UsageError: a private training makes no sense, or its epsilon cannot be reached.
        BudgetRefused: a cap would be passed; what was charged before was trained.
    """
    results: dict[int, Fitted | ModelError | ReleaseLostError] = {}
    private, networks = defaultdict(list), []
    for place, job in enumerate(jobs):
        if job.recipe.privacy.mechanism == "gradient":
            private[job.home].append(place)
        elif job.recipe.model.name in NETWORKS:
            networks.append(place)
        else:
            results[place] = _solved(job)
    for home, places in private.items():
        private_jobs = [
            PrivateJob(job.prepared, job.recipe, job.guarantee, job.on_epoch, job.seed, job.again)
            for job in (jobs[place] for place in places)
        ]
        for place, trained in zip(
            places, train.fit_each_privately(private_jobs, home), strict=True
        ):
            results[place] = Fitted(*trained) if isinstance(trained, tuple) else trained
    runs = [_run(jobs[place]) for place in networks]
    for place, run, history in zip(networks, runs, train_together(runs, Stack()), strict=True):
        job = jobs[place]
        results[place] = (
            history
            if isinstance(history, ModelError)
            else Fitted(run.model, history, job.guarantee, _intervals(job.prepared, job.recipe))
        )
    return [results[place] for place in range(len(jobs))]


def _run(job: Fit) -> Job:
    """A network that is trained without privacy of its own, its scaler set."""
    model, parts = fresh(job.prepared, job.recipe), job.prepared.split
    fit_scaler(model, parts.train)
    return Job(
        model,
        parts.train,
        parts.validation if len(parts.validation) else None,
        job.recipe.training,
        on_epoch=lambda epoch: job.on_epoch(epoch, {}),
        observers=(WeightDistance.of,),
    )


def _solved(job: Fit) -> Fitted:
    """A closed form, or a blend."""
    model, parts = fresh(job.prepared, job.recipe), job.prepared.split
    history = fit_model(
        model,
        parts.train,
        parts.validation if len(parts.validation) else None,
        job.recipe.training,
        on_epoch=lambda epoch: job.on_epoch(epoch, {}),
        observers=(WeightDistance.of,),
    )
    return Fitted(model, history, job.guarantee, _intervals(job.prepared, job.recipe))


def fresh(prepared: Prepared, recipe: Recipe) -> Forecaster:
    """The recipe's forecaster before it has learned anything."""
    config = recipe.model.forecaster(prepared.learning.regions, prepared.spec)
    solver = recipe.training.optimizer if recipe.model.name in HEADS else None
    return new(config, seed=recipe.training.seed, solver=solver)


def learner(prepared: Prepared, recipe: Recipe) -> Callable[[Windows], Forecaster]:
    """Return a function that fits the recipe's forecaster to windows, without early stopping."""

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
    return fit_intervals(fold.forecast, fold.windows)
