"""Training by gradient perturbation: account, charge, train, prove, keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import torch

from dp import scale, statement
from dp.composition import Total
from dp.ledger import Charge, Entry, Ledger, fingerprint, local_secret
from dp.ledger.identity import release_key
from dp.permit import Permit
from dp.private import PrivateTraining, check_model, twins_differ
from dp.proof import prove
from dp.release import once, period_of
from dp.scale import Scale
from flows.prepare import Prepared
from flows.private_plan import Plan, facts, make_plan, training_counts
from flows.promise import Promise
from flows.public_inputs import second_moment
from flows.recipe import Recipe
from flows.settings import Home
from models import saved
from models.distance import LogFit
from models.forecaster import Forecaster, set_scaler
from models.kinds import new
from models.losses import per_window
from models.optimizers import TRACT
from models.tensors import Batch
from models.training import Epoch, History, train

OnEpoch = Callable[[Epoch, dict[str, float]], None]


def fit_privately(
    prepared: Prepared, recipe: Recipe, inputs: Promise, home: Home, on_epoch: OnEpoch
) -> tuple[Forecaster, History, Promise]:
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
    """
    plan = make_plan(prepared, recipe)
    model = new(
        recipe.model.forecaster(prepared.split.train.regions, prepared.spec), recipe.training.seed
    )
    check_model(model)
    ledger = Ledger(home.database_url)
    report = _reporting(plan, on_epoch)

    def make(permit: Permit) -> bytes:
        history, proof = _train(model, prepared, recipe, plan, report, permit)
        return saved.packed(model, {"history": asdict(history), "proof": proof})

    kept = once(ledger, _charge(plan, prepared, recipe, home), make, cap=recipe.privacy.cap)
    model, history, proof = _unpacked(kept.content)
    if not kept.fresh:
        for epoch in history.epochs:
            report(epoch)
    return model, history, _promise(plan, prepared, recipe, inputs, ledger, kept.entry, proof)


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
    model: Forecaster,
    prepared: Prepared,
    recipe: Recipe,
    plan: Plan,
    on_epoch: Callable[[Epoch], None],
    permit: Permit,
) -> tuple[History, dict[str, Any]]:
    """Scale, train, and prove that it was noised."""
    found = _scale(prepared, recipe, plan, permit)
    set_scaler(model, found.mean, found.spread, found.step)
    training = recipe.training
    updates = PrivateTraining(
        plan.sampling, training.grad_norm, permit, secure=recipe.privacy.secure_noise
    )
    loss = per_window(training.loss)
    twins = twins_differ(model, training.grad_norm, _made_up(model), loss)
    history = train(
        model,
        prepared.split.train,
        None,
        training,
        on_epoch=on_epoch,
        updates=updates,
        second_moment=second_moment(model, prepared) if training.optimizer == TRACT else None,
    )
    tensors = sum(parameter.requires_grad for parameter in model.parameters())
    proof = prove(plan.sampling, updates.draws, parameters=tensors, twins_differ=twins)
    return history, proof.to_dict()


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
