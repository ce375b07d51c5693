"""Many runs of one architecture, their forward and backward passes one computation.

Each run keeps its own batches, schedule, optimizer, noise, weight average and early stopping: it is
the run that `models.training.train.train` would make, and ends where that ends. Between two updates the
runs hand over what they read, and get gradients back.
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
from models.training import losses
from models.training.config import TrainingConfig
from models.training.epochs import Epoch, History, run
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
        """Set `.grad` of all parameters, and return for each run what its `Updates.apply` wants.

        Args:
            models: of one architecture, R.
            loss: calls the layers of the first model, each once, with values that have a leading run
                axis; one loss a row, [R, B].
            sizes: rows of each run's batch, the first ones; the others count for nothing.
            clips: of each window's gradient, as in `Updates.clip`.
        """


@dataclass(frozen=True)
class Job:
    """What `models.training.train.train` is given, but for the rest that it does not matter here.

    Attributes:
        model: a forecaster whose scaler is set.
        train: training windows, all targets observed.
        validation: windows that end after the training targets, or None.
        config: how to train.
        updates: batches and steps; None for those without privacy.
        on_epoch: called after every epoch.
        second_moment: see `train`.
        observers: what watches the run.
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
    """What runs that train as one computation have in common; None for a run that trains alone.

    Alone are: closed forms and blends; ghost batches, whose rows depend on each other; dropout, whose
    masks come from one run's random numbers; and `tract`, which reads the layers' inputs.
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
    """Fit every job's model in place, each as `train` would; they come back in evaluation mode.

    Args:
        jobs: in any order and of any kind; what is not alike trains by itself.
        gradients: a forward and a backward pass of many models.
        memory: bytes to keep within; None for half of what is free.

    Returns:
        The history of each job, or the error that ended it; one that fails does not stop the others.

    Raises:
        ModelError: windows do not fit a model, or a device is missing; nothing was trained.
    """
    for job in jobs:
        check_training(job.model, job.train, job.validation)
    found: dict[int, History | ModelError] = {}
    for chunk in chunks(jobs, memory=memory):
        if len(chunk) == 1:
            found[chunk[0]] = _alone(jobs[chunk[0]])
        else:
            found |= dict(zip(chunk, _fit([jobs[one] for one in chunk], gradients), strict=True))
    return [found[one] for one in range(len(jobs))]


def chunks(jobs: Sequence[Job], *, memory: int | None = None) -> list[list[int]]:
    """Positions of the jobs that train as one computation, as many at a time as memory allows."""
    groups: dict[Hashable, list[int]] = {}
    for number, job in enumerate(jobs):
        key = alike(job.model, job.config)
        groups.setdefault(("alone", number) if key is None else key, []).append(number)
    found = []
    for group in groups.values():
        # batches are padded to the largest: those of one size together
        group.sort(key=lambda number: jobs[number].config.batch_size, reverse=True)
        while group:
            first = jobs[group[0]]
            windows = max(len(jobs[number].train) for number in group)
            device = pick_device(first.config.device)
            # under Poisson sampling a batch may be a good deal larger than expected
            size = 1
            if len(group) > 1:
                batch = min(windows, first.config.batch_size * 5 // 4 + 16)
                size = runs_that_fit(first.model.config, batch, windows, memory, device)
            found.append(group[:size])
            group = group[size:]
    return found


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


class _Going:
    """A run on its way: its optimizer, its windows, and the rows that it wants next."""

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
        self._run: Generator[Tensor, Tensor | None, History] = run(
            model, self.optimizer, validation, config, self.updates, job.on_epoch, job.observers
        )
        self.rows = torch.zeros(0, dtype=torch.long)
        self.result: History | ModelError | None = None
        self._go(lambda: next(self._run))

    def update(self, found: Any) -> None:
        """Use the gradients that are there, and find out which rows are next."""
        mean = self.updates.apply(self.model, self.optimizer, found)
        self._go(lambda: self._run.send(mean))

    def _go(self, step: Callable[[], Tensor]) -> None:
        try:
            self.rows = step()
        except StopIteration as done:
            self.result = done.value
        except ModelError as error:
            self.result = error


def _fit(jobs: Sequence[Job], gradients: Gradients) -> list[History | ModelError]:
    """Runs in lockstep, update by update; one that has ended leaves the others."""
    device, measure = pick_device(jobs[0].config.device), losses.measure(jobs[0].config.loss)
    pools: dict[Hashable, _Pool] = {}
    runs: list[_Going] = []
    try:
        for job in jobs:
            runs.append(_Going(job, pools, device))
        while going := [one for one in runs if one.result is None]:
            sizes = [len(one.rows) for one in going]
            taken = _take(going, max(1, *sizes))
            first = going[0].model
            step = torch.stack([one.model.step for one in going])[:, None, None]

            def loss(first: Network = first, taken: _Pool = taken, step: Tensor = step) -> Tensor:
                forecast = taken.last + first.steps(taken.read) * step
                return measure(forecast, taken.target, step)

            models = [one.model for one in going]
            clips = [one.updates.clip for one in going]
            for one, found in zip(going, gradients(models, loss, sizes, clips), strict=True):
                one.update(found)
    finally:
        for one in runs:
            one.model.to(one.home).eval()
    return [one.result for one in runs if one.result is not None]


@dataclass(frozen=True)
class _Pool:
    """What the layers read of windows, the latest values and the targets; the last row is zero."""

    read: Read
    last: Tensor
    target: Tensor

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """All tensors, windows first."""
        return self.read.sequence, self.read.ahead, self.last, self.target


def _pool(
    windows: Windows, model: Network, device: torch.device, pools: dict[Hashable, _Pool]
) -> _Pool:
    """Windows as the layers of a model read them; the same for models with the same scaler."""
    scaler = tuple(tuple(values.tolist()) for values in (model.mean, model.scale, model.step))
    key = id(windows), scaler
    if key not in pools:
        batch: Batch = to_device(windows, device)
        with torch.no_grad():
            read = model.read(batch)
        parts = (read.sequence, read.ahead, batch.past[:, -1:], batch.target)
        # made up, for padding: a window that is not in the batch must not be touched
        padded = [torch.cat([part, torch.zeros_like(part[:1])]) for part in parts]
        pools[key] = _Pool(Read(padded[0], padded[1]), padded[2], padded[3])
    return pools[key]


def _take(going: Sequence[_Going], size: int) -> _Pool:
    """The rows that the runs want, padded to `size`: a leading run axis before that of the windows."""
    rows = []
    for one in going:
        own = torch.full((size,), len(one.pool.last) - 1, dtype=torch.long)
        own[: len(one.rows)] = one.rows
        rows.append(own.to(one.pool.last.device))
    columns = []
    for part in range(4):
        first = going[0].pool.parts[part]
        column = first.new_empty(len(going), size, *first.shape[1:])
        for run_, (one, own) in enumerate(zip(going, rows, strict=True)):
            torch.index_select(one.pool.parts[part], 0, own, out=column[run_])
        columns.append(column)
    return _Pool(Read(columns[0], columns[1]), columns[2], columns[3])
