"""Progress on stderr: the stage of a run, and the epochs of a training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from models.training.train import Epoch


class Reporter:
    """One line that changes: the stage, and a progress bar."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID = progress.add_task("starting", total=None)

    def stage(self, text: str, steps: int | None = None) -> None:
        """Begin a new stage; `steps` is None if it cannot be counted."""
        self._progress.reset(self._task, total=steps, description=text)

    def at(self, text: str, done: int) -> None:
        """Show that `done` steps of the stage are finished."""
        self._progress.update(self._task, completed=done, description=text)

    def epoch(self, epoch: Epoch, spent: dict[str, float]) -> None:
        """Show an epoch of training that has ended."""
        loss = "" if epoch.loss is None else f", loss {epoch.loss:.4f}"
        validation = "" if epoch.validation is None else f", validation {epoch.validation:.1f}"
        budget = "".join(f", {name} {value:.3g}" for name, value in spent.items())
        text = f"train: epoch {epoch.number}{loss}{validation}{budget}"
        self._progress.update(self._task, completed=epoch.number, description=text)


_current: ContextVar[Reporter | None] = ContextVar("reporter", default=None)


@contextmanager
def shown(*, quiet: bool) -> Iterator[None]:
    """Show progress while the block runs; nothing if quiet."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:  # in a file it would leave an empty line
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        token = _current.set(Reporter(progress))
        try:
            yield
        finally:
            _current.reset(token)


def stage(text: str, steps: int | None = None) -> None:
    """Begin a stage, if progress is shown."""
    if reporter := _current.get():
        reporter.stage(text, steps)


def stage_at(text: str, done: int) -> None:
    """Show how far a stage of many steps is, if progress is shown."""
    if reporter := _current.get():
        reporter.at(text, done)


def epoch(done: Epoch, spent: dict[str, float]) -> None:
    """Show an epoch of training that has ended, if progress is shown."""
    if reporter := _current.get():
        reporter.epoch(done, spent)
