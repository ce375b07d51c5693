"""Training by gradient perturbation: account, charge, train, prove, keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from dp import statement
from dp.composition.total import Total
from dp.errors import ReleaseLostError
from dp.ledger import Charge, Entry, Ledger, fingerprint, local_secret
from dp.ledger.identity import release_key, sketch
from dp.mechanisms import scale
from dp.permit import Permit
from dp.private.noise_proof import reread
from dp.release.idempotent import Released, Request, release_each_once
from dp.release.panel import period_of
from flows.document import Document
from flows.pipeline.dpsgd.plan import Plan, facts, make_plan
from flows.pipeline.dpsgd.run import OnEpoch, PrivateJob, PrivateRun, train
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import aliases
from flows.pipeline.windows import Prepared
from flows.recipe.recipe import Recipe
from flows.settings import Home
from models import checkpoint
from models.diagnostics.weight_distance import LogFit, WeightDistance
from models.errors import ModelError
from models.forecaster import Forecaster
from models.training.stacked import chunks
from models.training.train import Epoch, History

Trained = tuple[Forecaster, History, Guarantee]


def fit_privately(
    prepared: Prepared, recipe: Recipe, inputs: Guarantee, home: Home, on_epoch: OnEpoch
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
    (trained,) = fit_each_privately([PrivateJob(prepared, recipe, inputs, on_epoch)], home)
    if isinstance(trained, ModelError | ReleaseLostError):
        raise trained
    return trained


def fit_each_privately(
    jobs: Sequence[PrivateJob], home: Home
) -> list[Trained | ModelError | ReleaseLostError]:
    """Train many at once; those that are alike are one computation.

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
    runs = [PrivateRun.of(job) for job in jobs]
    results: dict[int, Trained | ModelError | ReleaseLostError] = {}
    for chunk in chunks([run.training for run in runs]):
        done = _fit([runs[place] for place in chunk], home)
        results |= dict(zip(chunk, done, strict=True))
    return [results[place] for place in range(len(jobs))]


def _fit(runs: Sequence[PrivateRun], home: Home) -> list[Trained | ModelError | ReleaseLostError]:
    """Charge runs that train as one computation, train them, and keep what they learned."""
    ledger = Ledger(home.database_url)
    errors: dict[int, ModelError] = {}

    def make(permits: dict[int, Permit]) -> dict[int, bytes]:
        trained = train([runs[place] for place in permits], list(permits.values()))
        contents = {}
        for place, result in zip(permits, trained, strict=True):
            if isinstance(result, ModelError):
                errors[place] = result
            else:
                history, proof = result
                extra = {"history": asdict(history), "proof": proof}
                contents[place] = checkpoint.packed(runs[place].model, extra)
        return contents

    secret = local_secret(home.secret)
    wanted = [
        Request(
            _charge(run.plan, run.job.prepared, run.job.recipe, home),
            run.job.recipe.privacy.cap,
            None if run.seed is None else run.seed.mark(secret),
            run.job.again,
        )
        for run in runs
    ]
    results: list[Trained | ModelError | ReleaseLostError] = []
    for place, kept in enumerate(release_each_once(ledger, wanted, make)):
        if isinstance(kept, ReleaseLostError):
            results.append(kept)
        elif kept is None:
            first = [one.charge.key for one in wanted].index(wanted[place].charge.key)
            results.append(errors[first])
        else:
            results.append(_result(runs[place], kept, ledger))
    return results


def _result(run: PrivateRun, kept: Released, ledger: Ledger) -> Trained:
    """Return the released training with its guarantee."""
    model, history, proof = _unpacked(kept.content)
    if not kept.fresh:
        for epoch in history.epochs:
            run.report(epoch)
    job = run.job
    guarantee = _promise(run.plan, job.prepared, job.recipe, job.inputs, ledger, kept.entry, proof)
    return model, history, guarantee


def charge(prepared: Prepared, recipe: Recipe, home: Home) -> Charge:
    """Work out what `fit_privately` would cost; write and draw nothing. Raises like it."""
    return _charge(make_plan(prepared, recipe), prepared, recipe, home)


def _charge(plan: Plan, prepared: Prepared, recipe: Recipe, home: Home) -> Charge:
    """Build the charge that is written before anything is drawn."""
    secret, sampling = local_secret(home.secret), plan.sampling
    print_of_data = fingerprint(secret, prepared.raw.counts)
    scaled = scale.DECLARED if sampling.side_release is None else scale.ESTIMATED
    return Charge(
        key=release_key(secret, _identity(print_of_data, plan, recipe)),
        dataset=recipe.source.account or prepared.raw.source,
        fingerprint=print_of_data,
        period=period_of(prepared.raw.counts),
        unit=plan.unit,
        epsilon=sampling.epsilon(plan.delta),
        delta=plan.delta,
        event={
            **sampling.event(),
            "panel": facts(prepared, plan, recipe.privacy.intervals_per_unit),
        },
        purpose="training",
        bound=(f"{sampling.hit} of {sampling.windows} windows: {plan.hit_because}", scaled),
        population=recipe.source.population,
        recipe=recipe.to_dict(),
        aliases=aliases(recipe),
        sketch=sketch(secret, prepared.raw.counts, prepared.raw.interval.to_pytimedelta()),
        timezone=prepared.raw.timezone,
    )


def _promise(
    plan: Plan,
    prepared: Prepared,
    recipe: Recipe,
    inputs: Guarantee,
    ledger: Ledger,
    entry: Entry,
    proof: Document,
) -> Guarantee:
    """Return what may be claimed: nothing, if the proof of noise failed."""
    if not proof["holds"]:
        return Guarantee(statement=statement.unproven(proof), proof=proof, ledger_entry=entry.id)
    sampling, delta = plan.sampling, recipe.privacy.delta
    epsilon = sampling.epsilon(plan.delta) + (inputs.epsilon or 0.0)
    return Guarantee(
        statement=statement.gradient_perturbation(
            sampling,
            plan.unit,
            epsilon=epsilon,
            delta=delta,
            clip=recipe.training.grad_norm,
            hit_because=plan.hit_because,
            scaler=scale.ESTIMATED if sampling.side_release else scale.DECLARED,
            inputs=inputs.statement if inputs.release else None,
            spent=ledger.spent(entry.dataset, plan.unit, delta),
            persons=prepared.raw.persons,
            enforced=prepared.raw.bound is not None,
            total=_everything(ledger, entry, inputs),
            clock=prepared.raw.timezone,
            cap=ledger.account(entry.dataset, plan.unit).cap,
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


def _everything(ledger: Ledger, entry: Entry, inputs: Guarantee) -> Total:
    """The training and, if they were noised, the counts that forecasts read."""
    training = Total().plus(entry.event)
    beside = ledger.find(inputs.release) if inputs.release else None
    return training.plus(beside.event) if beside else training


def _identity(print_of_data: str, plan: Plan, recipe: Recipe) -> Document:
    """Return the values that make two trainings the same."""
    return {
        "data": print_of_data,
        "unit": plan.unit.value,
        "event": plan.sampling.event(),
        "draw": recipe.privacy.draw,
        "secure": False,  # a setting without effect; the key is that of releases from before
        "max_count": recipe.source.max_count,
        **{name: asdict(getattr(recipe, name)) for name in ("windows", "model", "training")},
    }


def _unpacked(content: bytes) -> tuple[Forecaster, History, Document]:
    """The model of a release, with its history and proof.

    Releases of earlier versions hold training losses, which are private data and are dropped.
    """
    model, extra = checkpoint.unpacked(content)
    stored = extra["history"]
    history = History(
        tuple(Epoch(**{**epoch, "loss": None}) for epoch in stored["epochs"]),
        stored["best"],
        stored["stopped_early"],
        _observed(stored),
    )
    return model, history, reread(extra["proof"])


def _observed(stored: Document) -> dict[str, object]:
    """Results of observers; releases of earlier versions have one, under `distance`."""
    observed = dict(stored.get("observed", {}))
    name = WeightDistance.name
    distance = observed.get(name, stored.get("distance"))
    return observed if distance is None else {**observed, name: LogFit(**distance)}
