"""Results of runs: one frozen value, and the JSON document that it is written as."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from flows.document import Document


@dataclass(frozen=True)
class Metric:
    """A forecast error, in persons or as a ratio.

    Attributes:
        mean: unweighted mean over the regions; None where it is not defined.
        regions: error of each region.
    """

    mean: float | None
    regions: dict[str, float | None]

    @property
    def known_mean(self) -> float:
        """The mean, where something is computed from it.

        Raises:
            ValueError: it is not defined; no figure is put in its place.
        """
        if self.mean is None:
            raise ValueError("this error is not defined: its mean over the regions is not a number")
        return self.mean


@dataclass(frozen=True)
class BaselineErrors:
    """Errors of a baseline on the same windows.

    Attributes:
        rmse: in persons.
        mae: in persons.
    """

    rmse: Metric
    mae: Metric


@dataclass(frozen=True)
class ScoredPeriod:
    """The period that was scored.

    Attributes:
        start: of the first forecast interval.
        end: of the last one.
        windows: how many were scored.
    """

    start: str
    end: str
    windows: int


@dataclass(frozen=True)
class EpochCount:
    """Epochs of a training.

    Attributes:
        trained: how many there were.
        kept: number of the one whose weights were kept.
    """

    trained: int
    kept: int


@dataclass(frozen=True)
class LedgerRecord:
    """The charges of a run, read back from the ledger; epsilons and deltas of several add up.

    Attributes:
        entry: number of the charge.
        hash: of its line in the log.
        dataset: account that was charged.
        purpose: of the charges.
        unit: privacy unit.
        epsilon: at `delta`.
        delta: of the guarantee.
        neighbours: the neighbouring relation.
    """

    entry: int
    hash: str
    dataset: str
    purpose: str
    unit: str
    epsilon: float | None
    delta: float | None
    neighbours: str


@dataclass(frozen=True)
class RunResult:
    """Everything that a run publishes about itself.

    Attributes:
        source: what was forecast.
        model: name of the forecaster.
        optimizer: that trained it; None in closed form.
        mechanism: `none`, `input` or `gradient`.
        unit: privacy unit; None, like the next four, without privacy.
        epsilon: at `delta`.
        delta: of the guarantee.
        neighbours: the neighbouring relation.
        epsilon_naive: of a per-window account; never a guarantee.
        sensitivity: L2 sensitivity of the counts, in persons; under `input`.
        sigma: standard deviation in persons under `input`, noise multiplier under `gradient`.
        seed: of weights and batches.
        rmse: of the forecast, in persons.
        mae: in persons.
        smape: a ratio.
        mase: a ratio.
        coverage: share of the counts inside prediction intervals, by level.
        baselines: errors by name; None where a baseline does not apply.
        evaluation: what the errors were computed on, in words.
        test: the period that was scored.
        epochs: of the training.
        weight_distance: fit of the distance of the weights to the logarithm of the updates.
        seconds: wall time.
        statement: what is guaranteed, to whom, under which assumptions (`dp.statement`).
        proof: checks of the noise; under `gradient`.
        ledger_entry: number of the charge; None without one.
        ledger: the charge as the ledger has it.
        findings: about the source, in words.
        run_id: in MLflow; empty, like the paths, before it is recorded.
        report: path of the page.
        figure: path of the picture.
    """

    source: str
    model: str
    optimizer: str | None
    mechanism: str
    unit: str | None
    epsilon: float | None
    delta: float | None
    neighbours: str | None
    epsilon_naive: float | None
    sensitivity: float | None
    sigma: float | None
    seed: int
    rmse: Metric
    mae: Metric
    smape: Metric
    mase: Metric
    coverage: dict[str, float]
    baselines: dict[str, BaselineErrors | None]
    evaluation: str
    test: ScoredPeriod
    epochs: EpochCount
    weight_distance: dict[str, float | None] | None
    seconds: float
    statement: Document
    proof: Document | None
    ledger_entry: int | None
    ledger: LedgerRecord | None
    findings: tuple[str, ...] = ()
    run_id: str = ""
    report: str = ""
    figure: str = ""

    @property
    def rivals(self) -> dict[str, BaselineErrors]:
        """Baselines that apply and are not the model itself, which may be ridge, too."""
        return {
            name: errors
            for name, errors in self.baselines.items()
            if errors is not None and name != self.model
        }

    def to_dict(self) -> Document:
        """The document of `veilcast train --json`; what was not recorded has no id and no paths."""
        values = {field.name: _plain(getattr(self, field.name)) for field in fields(self)}
        values["findings"] = list(self.findings)
        values["test"] = {
            "from": self.test.start,
            "to": self.test.end,
            "windows": self.test.windows,
        }
        recorded = {name: values.pop(name) for name in ("run_id", "report", "figure")}
        first = {"run_id": self.run_id} if self.run_id else {}
        paths = {name: recorded[name] for name in ("report", "figure") if recorded[name]}
        return {**first, **values, **paths}

    @classmethod
    def from_dict(cls, document: Document) -> RunResult:
        """The result that `to_dict` wrote; fields of other versions are left out."""
        values: Document = {field.name: document.get(field.name) for field in fields(cls)}
        values |= {name: _metric(values[name]) for name in ("rmse", "mae", "smape", "mase")}
        values["baselines"] = {
            name: errors and BaselineErrors(_metric(errors["rmse"]), _metric(errors["mae"]))
            for name, errors in (values["baselines"] or {}).items()
        }
        test = values["test"]
        values["test"] = ScoredPeriod(test["from"], test["to"], test["windows"])
        values["epochs"] = EpochCount(**values["epochs"])
        values["ledger"] = values["ledger"] and LedgerRecord(**values["ledger"])
        values["coverage"] = values["coverage"] or {}
        values["findings"] = tuple(values["findings"] or ())
        values |= {name: values[name] or "" for name in ("run_id", "report", "figure")}
        return cls(**values)


def _plain(value: object) -> Any:
    if isinstance(value, Metric | BaselineErrors | EpochCount | LedgerRecord | ScoredPeriod):
        return asdict(value)
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return value


def _metric(values: Document | None) -> Metric:
    return Metric(None, {}) if values is None else Metric(values["mean"], values["regions"])
