"""Completed runs: a trained and scored run, and the result that it comes to."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from data.findings import Finding
from dp.ledger import Ledger
from flows.pipeline.evaluate import NOT_PRIVATE, Evaluation
from flows.pipeline.fit import Fitted
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import Privatised
from flows.pipeline.result import EpochCount, LedgerRecord, RunResult, ScoredPeriod
from flows.pipeline.windows import Prepared
from flows.recipe.recipe import Recipe
from flows.settings import Home
from models.diagnostics.weight_distance import LogFit, WeightDistance


@dataclass(frozen=True)
class Completed:
    """A run that is trained and scored, before it is recorded.

    Attributes:
        recipe: what was asked for.
        findings: what the validation found.
        privatised: the panel that was used, with its statement.
        prepared: windows and truth.
        fitted: the model and its training.
        evaluation: scores and test forecast.
        started: `time.perf_counter()` at the start of the run.
        judged: what the errors are, in words.
    """

    recipe: Recipe
    findings: tuple[Finding, ...]
    privatised: Privatised
    prepared: Prepared
    fitted: Fitted
    evaluation: Evaluation
    started: float
    judged: str = NOT_PRIVATE

    @property
    def guarantee(self) -> Guarantee:
        """Of the whole run."""
        return self.fitted.guarantee


def result_of(completed: Completed, home: Home) -> RunResult:
    """Work out the result of a run that is not recorded yet.

    Args:
        completed: the run.
        home: whose ledger has its charges.
    """
    recipe, guarantee, evaluation = completed.recipe, completed.guarantee, completed.evaluation
    history, truth = completed.fitted.history, completed.prepared.truth
    distance = history.observed.get(WeightDistance.name)
    return RunResult(
        source=completed.prepared.inputs.source,
        model=recipe.model.name,
        optimizer=recipe.optimizer,
        mechanism=recipe.privacy.mechanism,
        unit=guarantee.unit,
        epsilon=guarantee.epsilon,
        delta=guarantee.delta,
        neighbours=guarantee.neighbours,
        epsilon_naive=guarantee.epsilon_naive,
        sensitivity=guarantee.sensitivity,
        sigma=guarantee.sigma,
        seed=recipe.training.seed,
        rmse=evaluation.rmse,
        mae=evaluation.mae,
        smape=evaluation.smape,
        mase=evaluation.mase,
        coverage=evaluation.coverage,
        baselines=evaluation.baselines,
        evaluation=completed.judged,
        test=ScoredPeriod(str(truth.times[0]), str(truth.ends[-1]), len(truth)),
        epochs=EpochCount(len(history.epochs), history.best),
        weight_distance=asdict(distance) if isinstance(distance, LogFit) else None,
        seconds=round(time.perf_counter() - completed.started, 2),
        statement=guarantee.statement,
        proof=guarantee.proof,
        ledger_entry=guarantee.ledger_entry,
        ledger=_ledger_record(guarantee, home),
        findings=tuple(str(finding) for finding in completed.findings),
    )


def _ledger_record(guarantee: Guarantee, home: Home) -> LedgerRecord | None:
    """Read the charges back from the ledger.

    Two charges where both a training and the counts that forecasts read were paid for; their epsilons
    and deltas add up.
    """
    if guarantee.ledger_entry is None:
        return None
    ledger = Ledger(home.database_url)
    entry = ledger.entry(guarantee.ledger_entry)
    if guarantee.stream is not None:  # many charges; what they come to is the stream's promise
        return LedgerRecord(
            entry=entry.id,
            hash=entry.hash,
            dataset=entry.dataset,
            purpose=entry.purpose,
            unit=entry.unit.value,
            epsilon=guarantee.epsilon,
            delta=guarantee.delta,
            neighbours=entry.unit.neighbours,
        )
    beside = ledger.find(guarantee.release) if guarantee.release else None
    charges = [entry] if beside is None or beside.id == entry.id else [entry, beside]
    return LedgerRecord(
        entry=entry.id,
        hash=entry.hash,
        dataset=entry.dataset,
        purpose=", ".join(charge.purpose for charge in charges),
        unit=entry.unit.value,
        epsilon=sum(charge.epsilon for charge in charges),
        delta=sum(charge.delta for charge in charges),
        neighbours=entry.unit.neighbours,
    )
