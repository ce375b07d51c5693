"""Results of sweeps: one training, one row per point, and the sweep as a whole."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from flows.document import Document
from flows.pipeline.result import RunResult
from flows.sweep.cost import Announcement
from flows.tracking import Record


@dataclass(frozen=True)
class Trained:
    """One training of a sweep.

    Attributes:
        result: what it publishes about itself, without a run's id.
        record: what MLflow compares it by.
        files: folder of its model and recipe.
    """

    result: RunResult
    record: Record
    files: Path

    def to_dict(self) -> Document:
        """As JSON values."""
        return {
            "document": self.result.to_dict(),
            "record": asdict(self.record),
            "files": str(self.files),
        }

    @classmethod
    def from_dict(cls, values: Document) -> Trained:
        """The training that `to_dict` wrote."""
        return cls(
            RunResult.from_dict(values["document"]),
            Record(**values["record"]),
            Path(values["files"]),
        )


@dataclass(frozen=True)
class Lost:
    """A training that was charged and lost: it is not paid for again, and the others go on.

    Attributes:
        reason: why there is no result, and never will be under this charge.
    """

    reason: str


@dataclass(frozen=True)
class Row:
    """One point: its guarantee, its learning rate, its error over the seeds in persons.

    Attributes:
        mechanism: `none`, `input` or `gradient`.
        unit: privacy unit; None without privacy.
        epsilon: the largest that a training of the point spent; None without privacy.
        model: a forecaster.
        optimizer: of its training; None in closed form.
        asked: epsilon that the grid names.
        delta: of the guarantee.
        neighbours: the neighbouring relation.
        learning_rate: None for the recipe's own.
        rmse: mean over the seeds.
        sd: standard deviation over the seeds; None with one.
        seeds: trainings.
        baselines: RMSE by name, of those that apply.
    """

    mechanism: str
    unit: str | None
    epsilon: float | None
    model: str
    optimizer: str | None
    asked: float | None
    delta: float | None
    neighbours: str | None
    learning_rate: float | None
    rmse: float
    sd: float | None
    seeds: int
    baselines: dict[str, float]

    @property
    def compared(self) -> str:
        """The line of the frontier that the point is on."""
        return " ".join(part for part in (self.mechanism, self.model, self.optimizer) if part)


@dataclass(frozen=True)
class SweepResult:
    """A recorded sweep.

    Attributes:
        run_id: of the sweep in MLflow; each training is a child of it.
        total: what was announced.
        points: title of the point, and result, of every training.
        table: one row per point.
        evaluation: what errors were computed on, in words.
        files: paths of `frontier` (a page), `picture`, `csv` and `parquet`.
    """

    run_id: str
    total: Announcement
    points: tuple[tuple[str, RunResult], ...]
    table: tuple[Row, ...]
    evaluation: str
    files: dict[str, str]

    def to_dict(self) -> Document:
        """The document of `veilcast sweep --json`."""
        return {
            "run_id": self.run_id,
            "total": self.total.to_dict(),
            "points": [{**result.to_dict(), "point": title} for title, result in self.points],
            "table": [asdict(row) for row in self.table],
            "evaluation": self.evaluation,
            **self.files,
        }
