"""Stacked training: many runs of one architecture, whose passes are one computation.

Each run keeps its own batches, schedule, optimizer, noise, weight average and early stopping: it is
the run of `models.training.train.train`, with the same end. Between two updates the runs pass on the
rows that they read, and receive gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer

from data.windows import Windows
from models import optimizers
from models.batch import Batch, to_device
from models.device import pick_device
from models.errors import ModelError
from models.forecaster import Forecaster
from models.nets.recurrent import Network, Read
from models.training import epochs, losses
from models.training.config import TrainingConfig
from models.training.epochs import Epoch, History
from models.training.memory import runs_that_fit
from models.training.observers import Observe
from models.training.train import check_training, train
from models.training.updates import PlainUpdates, Updates


class Gradients(Protocol):
    """One forward and backward pass of R models."""

    def __call__(
        self,
        models: Sequence[torch.nn.Module],
        loss: Callable[[], Tensor],
        sizes: Sequence[int],
        clips: Sequence[float | None],
    ) -> Sequence[Any]:
        """Set `.grad` of all parameters, and return for each run the argument of its `Updates.apply`.

        Args:
            models: of one architecture, R.
            loss: calls the layers of the first model, each once, with values that have a leading run
                axis; one loss per row, [R, B].
            sizes: number of rows of each run's batch; rows after these are padding.
            clips: `Updates.clip` of each run.
        """


@dataclass(frozen=True)
class Job:
    """The arguments of `models.training.train.train` for one run.

    Attributes:
        model: a forecaster whose scaler is set.
        train: training windows, all targets observed.
        validation: windows that end after the training targets, or None.
        config: how to train.
        updates: batches and steps; None for those without privacy.
        on_epoch: called after every epoch.
        second_moment: see `train`.
        observers: observers of the run.
    """

    model: Forecaster
    train: Windows
    validation: Windows | None
    config: TrainingConfig
    updates: Updates | None = None
    on_epoch: Callable[[Epoch], None] | None = None
    second_moment: Tensor | None = None
    observers: Sequence[Observe] = ()


def alike(model: Forecaster, config: TrainingConfig) -> Hashable:
    """Return a key that is equal for runs that can be stacked; None for a run that trains alone.

    These train alone: closed forms and blends; ghost batches, whose rows depend on each other; dropout,
    whose masks come from the random numbers of one run; and `tract`, which reads the inputs of layers.
    """
    if not isinstance(model, Network):
        return None
    shape = model.config
    if shape.ghost is not None or shape.dropout or config.optimizer == optimizers.TRACT:
        return None
    return shape, config.loss, str(pick_device(config.device)), model.mean.dtype


def train_together(
    jobs: Sequence[Job], gradients: Gradients, *, memory: int | None = None
) -> list[History | ModelError]:
    """Fit the model of every job in place, each as by `train`; all end in evaluation mode.

    Args:
        jobs: in any order and of any kind; jobs that cannot be stacked train alone.
        gradients: a forward and a backward pass of many models.
        memory: limit in bytes; None for half of the free memory.

    Returns:
        The history of each job, or the error that ended it; a failed job does not stop the others.

    Raises:
        ModelError: windows do not fit a model, or a device is missing; nothing was trained.
    """
    for job in jobs:
        check_training(job.model, job.train, job.validation)
    results: dict[int, History | ModelError] = {}
    for chunk in chunks(jobs, memory=memory):
        if len(chunk) == 1:
            results[chunk[0]] = _alone(jobs[chunk[0]])
        else:
            histories = _fit([jobs[number] for number in chunk], gradients)
            results |= dict(zip(chunk, histories, strict=True))
    return [results[number] for number in range(len(jobs))]


def chunks(jobs: Sequence[Job], *, memory: int | None = None) -> list[list[int]]:
    """Return the positions of jobs that train as one computation, in groups that fit into memory."""
    groups: dict[Hashable, list[int]] = {}
    for number, job in enumerate(jobs):
        key = alike(job.model, job.config)
        groups.setdefault(("alone", number) if key is None else key, []).append(number)
    parts = []
    for group in groups.values():
        # batches are padded to the largest: jobs of one size go together
        group.sort(key=lambda number: jobs[number].config.batch_size, reverse=True)
        while group:
            first = jobs[group[0]]
            windows = max(len(jobs[number].train) for number in group)
            device = pick_device(first.config.device)
            # under Poisson sampling a batch may be much larger than expected
            size = 1
            if len(group) > 1:
                batch = min(windows, first.config.batch_size * 5 // 4 + 16)
                size = runs_that_fit(first.model.config, batch, windows, memory, device)
            parts.append(group[:size])
            group = group[size:]
    return parts


def _alone(job: Job) -> History | ModelError:
    try:
        return train(
            job.model,
            job.train,
            job.validation,
            job.config,
            on_epoch=job.on_epoch,
            updates=job.updates,
            second_moment=job.second_moment,
            observers=job.observers,
        )
    except ModelError as error:
        return error


class _ActiveRun:
    """A run in progress: its optimizer, its windows, and the rows of its next update."""

    def __init__(self, job: Job, pools: dict[Hashable, _Pool], device: torch.device) -> None:
        model, config = job.model, job.config
        assert isinstance(model, Network)  # noqa: S101  (see `alike`)
        self.home = model.mean.device
        self.model = model.to(device)
        self.updates: Updates = job.updates or PlainUpdates(len(job.train), config)
        self.pool = _pool(job.train, model, device, pools)
        public = optimizers.Public(self.updates.noise_variance)
        self.optimizer: Optimizer = optimizers.build(
            config.optimizer,
            model,
            config.learning_rate,
            weight_decay=config.weight_decay,
            public=public,
        )
        validation = None if job.validation is None else to_device(job.validation, device)
        self._run: Generator[Tensor, Tensor | None, History] = epochs.run(
            model, self.optimizer, validation, config, self.updates, job.on_epoch, job.observers
        )
        self.rows = torch.zeros(0, dtype=torch.long)
        self.result: History | ModelError | None = None
        self._advance(lambda: next(self._run))

    def update(self, result: Any) -> None:
        """Update by the gradients of the pass, and advance to the rows of the next update."""
        mean = self.updates.apply(self.model, self.optimizer, result)
        self._advance(lambda: self._run.send(mean))

    def _advance(self, step: Callable[[], Tensor]) -> None:
        try:
            self.rows = step()
        except StopIteration as done:
            self.result = done.value
        except ModelError as error:
            self.result = error


def _fit(jobs: Sequence[Job], gradients: Gradients) -> list[History | ModelError]:
    """Train in lockstep, update by update; a run that has ended leaves the stack."""
    device, measure = pick_device(jobs[0].config.device), losses.measure(jobs[0].config.loss)
    pools: dict[Hashable, _Pool] = {}
    runs: list[_ActiveRun] = []
    try:
        for job in jobs:
            runs.append(_ActiveRun(job, pools, device))
        while active := [run for run in runs if run.result is None]:
            sizes = [len(run.rows) for run in active]
            taken = _take(active, max(1, *sizes))
            first = active[0].model
            step = torch.stack([run.model.step for run in active])[:, None, None]

            def loss(first: Network = first, taken: _Pool = taken, step: Tensor = step) -> Tensor:
                forecast = taken.last + first.steps(taken.read) * step
                return measure(forecast, taken.target, step)

            models = [run.model for run in active]
            clips = [run.updates.clip for run in active]
            for run, result in zip(active, gradients(models, loss, sizes, clips), strict=True):
                run.update(result)
    finally:
        for run in runs:
            run.model.to(run.home).eval()
    return [run.result for run in runs if run.result is not None]


@dataclass(frozen=True)
class _Pool:
    """Inputs of the layers, latest values and targets of all windows; the last row is zero."""

    read: Read
    last: Tensor
    target: Tensor

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """All tensors; their first axis is that of the windows."""
        return self.read.sequence, self.read.ahead, self.last, self.target


def _pool(
    windows: Windows, model: Network, device: torch.device, pools: dict[Hashable, _Pool]
) -> _Pool:
    """Return the inputs of a model's layers; models with the same scaler share them."""
    scaler = tuple(tuple(values.tolist()) for values in (model.mean, model.scale, model.step))
    key = id(windows), scaler
    if key not in pools:
        batch: Batch = to_device(windows, device)
        with torch.no_grad():
            read = model.read(batch)
        parts = (read.sequence, read.ahead, batch.past[:, -1:], batch.target)
        # a made-up row for padding: a window that is not in the batch must not be read
        padded = [torch.cat([part, torch.zeros_like(part[:1])]) for part in parts]
        pools[key] = _Pool(Read(padded[0], padded[1]), padded[2], padded[3])
    return pools[key]


def _take(active: Sequence[_ActiveRun], size: int) -> _Pool:
    """Return the next rows of the runs, padded to `size`, with a leading run axis."""
    rows = []
    for run in active:
        own = torch.full((size,), len(run.pool.last) - 1, dtype=torch.long)
        own[: len(run.rows)] = run.rows
        rows.append(own.to(run.pool.last.device))
    columns = []
    for part in range(4):
        first = active[0].pool.parts[part]
        column = first.new_empty(len(active), size, *first.shape[1:])
        for number, (run, own) in enumerate(zip(active, rows, strict=True)):
            torch.index_select(run.pool.parts[part], 0, own, out=column[number])
        columns.append(column)
    return _Pool(Read(columns[0], columns[1]), columns[2], columns[3])
