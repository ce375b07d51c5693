"""Training by gradient perturbation: account, charge, train, prove, keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from dp import scale, statement
from dp.clipping import Stack
from dp.composition import Total
from dp.ledger import Charge, Entry, Ledger, fingerprint, local_secret
from dp.ledger.identity import release_key
from dp.permit import Permit
from dp.private import PrivateTraining, check_model, twins_differ
from dp.proof import prove
from dp.release import Kept, Wanted, each_once, period_of
from dp.scale import Scale
from dp.seed import Seed
from flows.prepare import Prepared
from flows.private_plan import Plan, facts, make_plan, training_counts
from flows.promise import Promise
from flows.public_inputs import second_moment
from flows.recipe import Recipe
from flows.settings import Home
from models import saved
from models.distance import LogFit
from models.errors import ModelError
from models.forecaster import Forecaster, set_scaler
from models.kinds import new
from models.losses import per_window
from models.optimizers import TRACT
from models.tensors import Batch
from models.together import Job, chunks, train_together
from models.training import Epoch, History

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
    """

    prepared: Prepared
    recipe: Recipe
    inputs: Promise
    on_epoch: OnEpoch
    seed: Seed | None = None


Trained = tuple[Forecaster, History, Promise]


def fit_privately(
    prepared: Prepared, recipe: Recipe, inputs: Promise, home: Home, on_epoch: OnEpoch
) -> Trained:
    """Train under DP-SGD; the same request returns the same model and is charged once.

    Args:
        prepared: raw training windows that read no repaired gap.
        recipe: what was asked for.
        inputs: the promise for the counts that forecasts read.
        home: where ledger and releases are.
        on_epoch: called after every epoch with the budget spent so far.

    Raises:
        UsageError: the request makes no sense, or its epsilon cannot be reached.
        BudgetRefused: the account's cap would be passed; nothing was drawn.
        ModelError: training failed; the charge stays.
    """
    (found,) = fit_each_privately([PrivateJob(prepared, recipe, inputs, on_epoch)], home)
    if isinstance(found, ModelError):
        raise found
    return found


def fit_each_privately(jobs: Sequence[PrivateJob], home: Home) -> list[Trained | ModelError]:
    """The same for many trainings; those that are alike are one computation.

    As many are charged at a time as train at a time. Each has its permit, its batches, its noise and
    its proof, as if it were alone.

    Args:
        jobs: of any kind.
        home: where ledger and releases are.

    Returns:
        What was trained, or the error that ended it: one that fails does not stop the others.

    Raises:
        UsageError: a request makes no sense, or its epsilon cannot be reached; nothing was charged.
        BudgetRefused: a cap would be passed; what was charged before was trained.
    """
    runs = [_Run.of(job) for job in jobs]
    found: dict[int, Trained | ModelError] = {}
    for chunk in chunks([run.training for run in runs]):
        done = _fit([runs[place] for place in chunk], home)
        found |= dict(zip(chunk, done, strict=True))
    return [found[place] for place in range(len(jobs))]


@dataclass(frozen=True)
class _Run:
    """A private training with its account and its untrained model."""

    job: PrivateJob
    plan: Plan
    model: Forecaster
    report: Callable[[Epoch], None]

    @classmethod
    def of(cls, job: PrivateJob) -> _Run:
        prepared, recipe = job.prepared, job.recipe
        plan = make_plan(prepared, recipe)
        shape = recipe.model.forecaster(prepared.split.train.regions, prepared.spec)
        model = new(shape, recipe.training.seed)
        check_model(model)
        return cls(job, plan, model, _reporting(plan, job.on_epoch))

    @property
    def seed(self) -> Seed | None:
        """Where all of its noise comes from; None where some of it comes from elsewhere."""
        elsewhere = self.plan.sampling.aside is not None or self.job.recipe.privacy.secure_noise
        return None if elsewhere else self.job.seed

    @property
    def training(self) -> Job:
        """What is trained, before it may be."""
        return Job(
            self.model,
            self.job.prepared.split.train,
            None,
            self.job.recipe.training,
            on_epoch=self.report,
        )


def _fit(runs: Sequence[_Run], home: Home) -> list[Trained | ModelError]:
    """Charge runs that train as one computation, train them, and keep what they learned."""
    ledger = Ledger(home.database_url)
    errors: dict[int, ModelError] = {}

    def make(permits: dict[int, Permit]) -> dict[int, bytes]:
        trained = _train([runs[place] for place in permits], list(permits.values()))
        contents = {}
        for place, found in zip(permits, trained, strict=True):
            if isinstance(found, ModelError):
                errors[place] = found
            else:
                history, proof = found
                extra = {"history": asdict(history), "proof": proof}
                contents[place] = saved.packed(runs[place].model, extra)
        return contents

    secret = local_secret(home.secret)
    wanted = [
        Wanted(
            _charge(run.plan, run.job.prepared, run.job.recipe, home),
            run.job.recipe.privacy.cap,
            None if run.seed is None else run.seed.mark(secret),
        )
        for run in runs
    ]
    results: list[Trained | ModelError] = []
    for place, kept in enumerate(each_once(ledger, wanted, make)):
        if kept is None:
            first = [one.charge.key for one in wanted].index(wanted[place].charge.key)
            results.append(errors[first])
        else:
            results.append(_result(runs[place], kept, ledger))
    return results


def _result(run: _Run, kept: Kept, ledger: Ledger) -> Trained:
    """What was kept, with what it promises."""
    model, history, proof = _unpacked(kept.content)
    if not kept.fresh:
        for epoch in history.epochs:
            run.report(epoch)
    job = run.job
    promise = _promise(run.plan, job.prepared, job.recipe, job.inputs, ledger, kept.entry, proof)
    return model, history, promise


def charge(prepared: Prepared, recipe: Recipe, home: Home) -> Charge:
    """What `fit_privately` would cost; nothing is written or drawn. Raises like it."""
    return _charge(make_plan(prepared, recipe), prepared, recipe, home)


def _charge(plan: Plan, prepared: Prepared, recipe: Recipe, home: Home) -> Charge:
    """What is written down before anything is drawn."""
    secret, sampling = local_secret(home.secret), plan.sampling
    print_of_data = fingerprint(secret, prepared.raw.counts)
    scaled = scale.DECLARED if sampling.aside is None else scale.ESTIMATED
    return Charge(
        key=release_key(secret, _identity(print_of_data, plan, recipe)),
        dataset=recipe.source.account or prepared.raw.source,
        fingerprint=print_of_data,
        period=period_of(prepared.raw.counts),
        unit=plan.unit,
        epsilon=sampling.epsilon(plan.delta),
        delta=plan.delta,
        event={**sampling.event(), "panel": facts(prepared, plan)},
        purpose="training",
        bound=(f"{sampling.hit} of {sampling.windows} windows: {plan.hit_because}", scaled),
        population=recipe.source.population,
        recipe=recipe.to_dict(),
    )


def _train(
    runs: Sequence[_Run], permits: Sequence[Permit]
) -> list[tuple[History, dict[str, Any]] | ModelError]:
    """Scale, train, and prove of each run that it was noised."""
    jobs, updates, twins = [], [], []
    for run, permit in zip(runs, permits, strict=True):
        recipe, model = run.job.recipe, run.model
        training = recipe.training
        found = _scale(run.job.prepared, recipe, run.plan, permit)
        set_scaler(model, found.mean, found.spread, found.step)
        steps = PrivateTraining(
            run.plan.sampling,
            training.grad_norm,
            permit,
            secure=recipe.privacy.secure_noise,
            seed=run.seed,
        )
        loss = per_window(training.loss)
        twins.append(twins_differ(model, training.grad_norm, _made_up(model), loss))
        updates.append(steps)
        moment = None
        if training.optimizer == TRACT:
            moment = second_moment(model, run.job.prepared)
        jobs.append(replace(run.training, updates=steps, second_moment=moment))
    results: list[tuple[History, dict[str, Any]] | ModelError] = []
    for place, history in enumerate(train_together(jobs, Stack())):
        if isinstance(history, ModelError):
            results.append(history)
            continue
        run = runs[place]
        tensors = sum(parameter.requires_grad for parameter in run.model.parameters())
        proof = prove(
            run.plan.sampling, updates[place].draws, parameters=tensors, twins_differ=twins[place]
        )
        results.append((history, proof.to_dict()))
    return results


def _scale(prepared: Prepared, recipe: Recipe, plan: Plan, permit: Permit) -> Scale:
    """Typical size of the counts, declared or estimated under the charge."""
    if plan.sampling.aside is None:
        assert recipe.source.max_count is not None  # noqa: S101  (what the plan rests on)
        return scale.declared(recipe.source.max_count, len(prepared.raw.regions))
    return scale.estimate(training_counts(prepared), plan.sampling.aside, permit, width=plan.width)


def _promise(
    plan: Plan,
    prepared: Prepared,
    recipe: Recipe,
    inputs: Promise,
    ledger: Ledger,
    entry: Entry,
    proof: dict[str, Any],
) -> Promise:
    """What may be claimed; nothing, if the proof of noise failed."""
    if not proof["holds"]:
        return Promise(statement=statement.unproven(proof), proof=proof, ledger_entry=entry.id)
    sampling, delta = plan.sampling, recipe.privacy.delta
    epsilon = sampling.epsilon(plan.delta) + (inputs.epsilon or 0.0)
    return Promise(
        statement=statement.gradient_perturbation(
            sampling,
            plan.unit,
            epsilon=epsilon,
            delta=delta,
            clip=recipe.training.grad_norm,
            hit_because=plan.hit_because,
            scaler=scale.ESTIMATED if sampling.aside else scale.DECLARED,
            inputs=inputs.statement if inputs.release else None,
            spent=ledger.spent(entry.dataset, plan.unit, delta),
            persons=prepared.raw.persons,
            enforced=prepared.raw.bound is not None,
            total=_everything(ledger, entry, inputs),
        ),
        unit=plan.unit.value,
        neighbours=plan.unit.neighbours,
        epsilon=epsilon,
        delta=delta,
        sensitivity=None,
        sigma=sampling.noise_multiplier,
        epsilon_naive=sampling.naive_epsilon(delta),
        proof=proof,
        ledger_entry=entry.id,
        release=inputs.release,
    )


def _everything(ledger: Ledger, entry: Entry, inputs: Promise) -> Total:
    """The training and, if they were noised, the counts that forecasts read."""
    training = Total().plus(entry.event)
    beside = ledger.find(inputs.release) if inputs.release else None
    return training.plus(beside.event) if beside else training


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


def _identity(print_of_data: str, plan: Plan, recipe: Recipe) -> dict[str, Any]:
    """What makes a training the same as another one."""
    return {
        "data": print_of_data,
        "unit": plan.unit.value,
        "event": plan.sampling.event(),
        "draw": recipe.privacy.draw,
        "secure": recipe.privacy.secure_noise,
        "max_count": recipe.source.max_count,
        **{name: asdict(getattr(recipe, name)) for name in ("windows", "model", "training")},
    }


def _unpacked(content: bytes) -> tuple[Forecaster, History, dict[str, Any]]:
    """The model of a release, with its history and proof."""
    model, extra = saved.unpacked(content)
    history = extra["history"]
    epochs = tuple(Epoch(**epoch) for epoch in history["epochs"])
    moved = history.get("distance")
    distance = None if moved is None else LogFit(**moved)
    return model, replace(History(**history), epochs=epochs, distance=distance), extra["proof"]


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
        before=counts(config.seasonal, config.around),
        usual=counts(config.usual, config.horizon),
        calendar=torch.zeros(4, config.horizon, config.features),
        target=counts(config.horizon),
    )
