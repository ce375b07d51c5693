"""What a run came to: its document, its report, its record."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data.findings import Finding
from dp.ledger import Ledger
from flows import report
from flows.evaluate import Evaluation
from flows.fit import Fitted
from flows.prepare import Prepared
from flows.privatise import Privatised
from flows.promise import Promise
from flows.recipe.recipe import Recipe
from flows.settings import Home
from flows.tracking import ActiveRun, Record
from models import checkpoint

NOT_PRIVATE = "evaluated on raw data, not a private release"


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


def record(outcome: Outcome, run: ActiveRun, home: Home) -> dict[str, Any]:
    """Write model, report and figure, and complete the MLflow run with all of them.

    Returns:
        The document that `veilcast train --json` prints.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        document = {
            "run_id": run.run_id,
            **described(outcome, home),
            "report": str(home.reports / f"{run.run_id}.html"),
            "figure": str(home.reports / f"{run.run_id}.png"),
        }
        write_model(outcome, folder)
        write_figures(document, folder)
        figure, narrow = (
            report.figure(
                outcome.prepared,
                outcome.privatised.inputs,
                outcome.promise,
                outcome.evaluation.forecast,
                outcome.fitted.intervals,
                columns=columns,
            )
            for columns in (2, 1)
        )
        promise = report.promise_figure(document["statement"])
        upright = report.promise_figure(document["statement"], narrow=True)
        promises = (promise, upright) if promise and upright else None
        page = report.page(document, outcome.recipe, outcome.findings, (figure, narrow), promises)
        if promise:
            (folder / "statement.png").write_bytes(promise)
        (folder / "forecast.png").write_bytes(figure)
        (folder / "report.html").write_text(page)
        run.log(comparable(outcome, document), folder)
        Path(document["figure"]).write_bytes(figure)
        Path(document["report"]).write_text(page)
    return document


def write_model(outcome: Outcome, folder: Path) -> None:
    """What is needed to forecast, and to do it again."""
    checkpoint.save(outcome.fitted.model, folder / "model", _to_forecast_with(outcome))
    (folder / "recipe.toml").write_text(outcome.recipe.to_toml())


def write_figures(document: dict[str, Any], folder: Path) -> None:
    """What came out, and what was promised, of a run that has its id."""
    (folder / "statement.json").write_text(json.dumps(document["statement"], indent=2))
    (folder / "statement.md").write_text(report.statement_text(document))
    (folder / "result.json").write_text(json.dumps(document, indent=2))


def _title(outcome: Outcome) -> str:
    """Name of the run: what is trained, and the whole promise where there is one."""
    used, name = outcome.promise, outcome.recipe.model.name
    if used.unit is None:
        return f"{name} none"
    title = f"{name} {outcome.recipe.privacy.mechanism} {used.unit} ({used.epsilon:.4g}, {used.delta:g})"
    if used.stream is None:
        return title
    return f"{title}, counts until {outcome.prepared.truth.ends[-1]:%Y-%m-%d %H:%M}"


def _to_forecast_with(outcome: Outcome) -> dict[str, Any]:
    """What `veilcast forecast` needs beside the weights."""
    spec = outcome.prepared.spec
    return {
        "seasonal": list(spec.seasonal),
        "seasons": spec.seasons,
        "intervals": None
        if outcome.fitted.intervals is None
        else outcome.fitted.intervals.to_dict(),
        "interval_seconds": int(outcome.prepared.inputs.interval.total_seconds()),
        "release": outcome.promise.release,
        "stream": outcome.promise.stream,
    }


def described(outcome: Outcome, home: Home) -> dict[str, Any]:
    """All figures of a run; the document of `veilcast train --json` has its id beside them."""
    recipe, used, evaluation = outcome.recipe, outcome.promise, outcome.evaluation
    history = outcome.fitted.history
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
        "weight_distance": asdict(history.distance) if history.distance else None,
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
        return {"entry": entry.id, "hash": entry.hash, "dataset": entry.dataset,
                "purpose": entry.purpose, "unit": entry.unit.value, "epsilon": used.epsilon,
                "delta": used.delta, "neighbours": entry.unit.neighbours}  # fmt: skip
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
