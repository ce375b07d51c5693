"""What a run came to: its document, its report, its record."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from data.findings import Finding
from dp.ledger import Ledger
from flows.pipeline.evaluate import NOT_PRIVATE, Evaluation
from flows.pipeline.fit import Fitted
from flows.pipeline.guarantee import Promise
from flows.pipeline.privatise import Privatised
from flows.pipeline.windows import Prepared
from flows.recipe.recipe import Recipe
from flows.settings import Home
from flows.tracking import Record
from models.diagnostics.weight_distance import LogFit, WeightDistance


@dataclass(frozen=True)
class Outcome:
    """Everything a run has to show, before it is recorded.

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
    def promise(self) -> Promise:
        """Of the whole run."""
        return self.fitted.promise


def _title(outcome: Outcome) -> str:
    """Name of the run: what is trained, and the whole promise where there is one."""
    used, name = outcome.promise, outcome.recipe.model.name
    if used.unit is None:
        return f"{name} none"
    title = f"{name} {outcome.recipe.privacy.mechanism} {used.unit} ({used.epsilon:.4g}, {used.delta:g})"
    if used.stream is None:
        return title
    return f"{title}, counts until {outcome.prepared.truth.ends[-1]:%Y-%m-%d %H:%M}"


def described(outcome: Outcome, home: Home) -> dict[str, Any]:
    """All figures of a run; the document of `veilcast train --json` has its id beside them."""
    recipe, used, evaluation = outcome.recipe, outcome.promise, outcome.evaluation
    history = outcome.fitted.history
    distance = history.observed.get(WeightDistance.name)
    return {
        "source": outcome.prepared.inputs.source,
        "model": recipe.model.name,
        "optimizer": recipe.optimizer,
        "mechanism": recipe.privacy.mechanism,
        "unit": used.unit,
        "epsilon": used.epsilon,
        "delta": used.delta,
        "neighbours": used.neighbours,
        "epsilon_naive": used.epsilon_naive,
        "sensitivity": used.sensitivity,
        "sigma": used.sigma,
        "seed": recipe.training.seed,
        "rmse": evaluation.scores["rmse"],
        "mae": evaluation.scores["mae"],
        "smape": evaluation.scores["smape"],
        "mase": evaluation.scores["mase"],
        "coverage": evaluation.coverage,
        "baselines": evaluation.baselines,
        "evaluation": outcome.judged,
        "test": {
            "from": str(outcome.prepared.truth.times[0]),
            "to": str(outcome.prepared.truth.ends[-1]),
            "windows": len(outcome.prepared.truth),
        },
        "epochs": {"trained": len(history.epochs), "kept": history.best},
        "weight_distance": asdict(distance) if isinstance(distance, LogFit) else None,
        "seconds": round(time.perf_counter() - outcome.started, 2),
        "statement": used.statement,
        "proof": used.proof,
        "ledger_entry": used.ledger_entry,
        "ledger": _on_record(used, home),
        "findings": [str(finding) for finding in outcome.findings],
    }


def _on_record(used: Promise, home: Home) -> dict[str, Any] | None:
    """What the ledger has about the charge, read back from it.

    Two charges where both a training and the counts that forecasts read were paid for; their epsilons
    and deltas add up.
    """
    if used.ledger_entry is None:
        return None
    ledger = Ledger(home.database_url)
    entry = ledger.entry(used.ledger_entry)
    if used.stream is not None:  # many charges; what they come to is the stream's promise
        return {
            "entry": entry.id,
            "hash": entry.hash,
            "dataset": entry.dataset,
            "purpose": entry.purpose,
            "unit": entry.unit.value,
            "epsilon": used.epsilon,
            "delta": used.delta,
            "neighbours": entry.unit.neighbours,
        }
    beside = ledger.find(used.release) if used.release else None
    charges = [entry] if beside is None or beside.id == entry.id else [entry, beside]
    return {
        "entry": entry.id,
        "hash": entry.hash,
        "dataset": entry.dataset,
        "purpose": ", ".join(charge.purpose for charge in charges),
        "unit": entry.unit.value,
        "epsilon": sum(charge.epsilon for charge in charges),
        "delta": sum(charge.delta for charge in charges),
        "neighbours": entry.unit.neighbours,
    }


def comparable(outcome: Outcome, document: dict[str, Any]) -> Record:
    """The part of a run that can be compared in a table: at most 25 parameters."""
    recipe, used = outcome.recipe, outcome.promise
    spec = outcome.prepared.spec
    training = recipe.training
    paid = document["ledger"] or {}
    # A run without proof of noise is charged all the same, and promises nothing.
    promised = paid if used.epsilon is not None else {}
    metrics = {"rmse": document["rmse"]["mean"], "mae": document["mae"]["mean"]}
    metrics |= {f"coverage {level}": held for level, held in document["coverage"].items()}
    metrics |= {
        name: document[name]["mean"] for name in ("smape", "mase") if document[name]["mean"]
    }
    if moved := document["weight_distance"]:
        metrics["weight_distance_per_log_update"] = moved["slope"]
    for region, error in document["rmse"]["regions"].items():
        metrics[f"rmse {region}"] = error
    for baseline, scores in document["baselines"].items():
        if scores:
            metrics[f"{baseline}_rmse"] = scores["rmse"]["mean"]
    return Record(
        title=_title(outcome),
        parameters={
            "source": document["source"],
            "mechanism": recipe.privacy.mechanism,
            "unit": used.unit,
            "epsilon": used.epsilon,
            "delta": used.delta,
            "sensitivity": used.sensitivity,
            "sigma": used.sigma,
            "model": recipe.model.name,
            "hidden": recipe.model.hidden,
            "layers": recipe.model.layers,
            "dropout": recipe.model.dropout,
            "linear_skip": recipe.model.linear_skip,
            "lags": spec.lags,
            "seasonal": " ".join(recipe.windows.seasonal),
            "horizon": spec.horizon,
            "optimizer": recipe.optimizer,
            "learning_rate": training.learning_rate,
            "batch_size": training.batch_size,
            "epochs": training.epochs,
            "patience": training.patience,
            "grad_norm": training.grad_norm,
            "weight_decay": training.weight_decay,
            "loss": training.loss,
            "schedule": training.schedule,
            "seed": training.seed,
        },
        metrics=metrics,
        tags={
            "mechanism": recipe.privacy.mechanism,
            "unit": promised.get("unit"),
            "epsilon": promised.get("epsilon"),
            "delta": promised.get("delta"),
            "neighbours": promised.get("neighbours"),
            "epsilon_naive_one_window": used.epsilon_naive,
            "private": bool(promised),
            "sigma": used.sigma,
            "ledger_entry": paid.get("entry"),
            "ledger_hash": paid.get("hash"),
            "ledger_data_set": paid.get("dataset"),
            "evaluation": outcome.judged,
            "source": document["source"],
        },
    )
