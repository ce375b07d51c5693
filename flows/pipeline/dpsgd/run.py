"""Private trainings that were charged: account, model, noise, and the proof that it was drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from dp.clipping import Stack
from dp.mechanisms import scale
from dp.mechanisms.scale import Scale
from dp.mechanisms.seed import Seed
from dp.permit import Permit
from dp.private.noise_proof import prove
from dp.private.training import PrivateTraining, check_model, twins_differ
from flows.document import Document
from flows.pipeline.dpsgd.plan import Plan, make_plan, training_counts
from flows.pipeline.dpsgd.public_inputs import second_moment
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.windows import Prepared
from flows.recipe.recipe import Recipe
from models.batch import Batch
from models.diagnostics.weight_distance import WeightDistance
from models.errors import ModelError
from models.forecaster import Forecaster, set_scaler
from models.forecasters import new
from models.optimizers import TRACT
from models.training.losses import per_window
from models.training.stacked import Job, train_together
from models.training.train import Epoch, History

OnEpoch = Callable[[Epoch, dict[str, float]], None]


@dataclass(frozen=True)
class PrivateJob:
    """One private training.

    Attributes:
        prepared: raw training windows that read no repaired gap.
        recipe: what was asked for.
        inputs: the promise for the counts that forecasts read.
        on_epoch: called after every epoch with the budget spent so far.
        seed: of noise and batches, if the training is to be repeatable should it be lost.
        again: whether it may be paid for once more if it was charged before and lost.
    """

    prepared: Prepared
    recipe: Recipe
    inputs: Guarantee
    on_epoch: OnEpoch
    seed: Seed | None = None
    again: bool = True


@dataclass(frozen=True)
class PrivateRun:
    """A private training with its account and its untrained model."""

    job: PrivateJob
    plan: Plan
    model: Forecaster
    report: Callable[[Epoch], None]

    @classmethod
    def of(cls, job: PrivateJob) -> PrivateRun:
        """Account and untrained model of a job; nothing is charged.

        Raises:
            UsageError: the request makes no sense, or its epsilon cannot be reached.
        """
        prepared, recipe = job.prepared, job.recipe
        plan = make_plan(prepared, recipe)
        shape = recipe.model.forecaster(prepared.split.train.regions, prepared.spec)
        model = new(shape, recipe.training.seed)
        check_model(model)
        return cls(job, plan, model, _reporting(plan, job.on_epoch))

    @property
    def seed(self) -> Seed | None:
        """Seed of all of its noise; None where some of it comes from elsewhere."""
        return None if self.plan.sampling.side_release is not None else self.job.seed

    @property
    def training(self) -> Job:
        """The training, before it is permitted."""
        return Job(
            self.model,
            self.job.prepared.split.train,
            None,
            self.job.recipe.training,
            on_epoch=self.report,
            observers=(WeightDistance.of,),
        )


def train(
    runs: Sequence[PrivateRun], permits: Sequence[Permit]
) -> list[tuple[History, Document] | ModelError]:
    """Scale, train, and prove of each run that it was noised."""
    jobs, updates, twins = [], [], []
    for run, permit in zip(runs, permits, strict=True):
        recipe, model = run.job.recipe, run.model
        training = recipe.training
        scale = _scale(run.job.prepared, recipe, run.plan, permit)
        set_scaler(model, scale.mean, scale.spread, scale.step)
        steps = PrivateTraining(
            run.plan.sampling,
            training.grad_norm,
            permit,
            seed=run.seed,
        )
        loss = per_window(training.loss)
        twins.append(twins_differ(model, training.grad_norm, _made_up(model), loss))
        updates.append(steps)
        moment = None
        if training.optimizer == TRACT:
            moment = second_moment(model, run.job.prepared)
        jobs.append(replace(run.training, updates=steps, second_moment=moment))
    results: list[tuple[History, Document] | ModelError] = []
    for place, history in enumerate(train_together(jobs, Stack())):
        if isinstance(history, ModelError):
            results.append(history)
            continue
        run = runs[place]
        if not _usable(run.model):
            results.append(
                ModelError(
                    "the trained model forecasts no finite values; lower learning_rate="
                    f"{run.job.recipe.training.learning_rate}"
                )
            )
            continue
        tensors = sum(parameter.requires_grad for parameter in run.model.parameters())
        proof = prove(
            run.plan.sampling, updates[place].draws, parameters=tensors, twins_differ=twins[place]
        )
        results.append((history, proof.to_dict()))
    return results


def _scale(prepared: Prepared, recipe: Recipe, plan: Plan, permit: Permit) -> Scale:
    """Typical size of the counts, declared or estimated under the charge."""
    if plan.sampling.side_release is None:
        assert recipe.source.max_count is not None  # noqa: S101  (what the plan rests on)
        return scale.declared(recipe.source.max_count, len(prepared.raw.regions))
    return scale.estimate(
        training_counts(prepared), plan.sampling.side_release, permit, width=plan.width
    )


def _reporting(plan: Plan, on_epoch: OnEpoch) -> Callable[[Epoch], None]:
    """Epochs with the budget spent by then; all of it is known beforehand."""
    delta, unit = plan.delta, plan.unit.value
    true = plan.sampling.epsilon_by_epoch(delta)
    naive = plan.sampling.naive_epsilon_by_epoch(delta)

    def report(epoch: Epoch) -> None:
        at = epoch.number - 1
        on_epoch(
            epoch,
            {
                f"epsilon {unit} delta {delta:g}": true[at],
                f"epsilon naive one window delta {delta:g}": naive[at],
            },
        )

    return report


def _usable(model: Forecaster) -> bool:
    """Check that forecasts of made-up windows are finite: no count decides whether a run fails."""
    with torch.no_grad():
        return bool(torch.isfinite(model(_made_up(model))).all())


def _made_up(model: Forecaster) -> Batch:
    """Windows of the model's shape that come from nowhere."""
    config, draw = model.config, torch.Generator().manual_seed(0)
    regions = len(config.regions)

    def counts(*shape: int) -> torch.Tensor:
        middle, spread = model.mean.cpu(), model.scale.cpu()
        return middle + spread * torch.randn(4, *shape, regions, generator=draw)

    return Batch(
        past=counts(config.lags),
        past_calendar=torch.zeros(4, config.lags, config.features),
        seasonal=counts(config.seasonal, config.horizon),
        seasonal_context=counts(config.seasonal, config.seasonal_context),
        seasonal_change=counts(config.seasonal_change, config.horizon),
        calendar=torch.zeros(4, config.horizon, config.features),
        target=counts(config.horizon),
    )
