"""Observers of training: called after every update, they report a result at the end of a run.

The loop knows no diagnostic: the history of the run has the results by observer name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from models.errors import ModelError
from models.forecaster import Forecaster


class Observer(Protocol):
    """An observer of one training run.

    Results are published. Under gradient perturbation the weights after each update are noised, and an
    observer may read them; it must not read `.grad`, which is not.
    """

    @property
    def name(self) -> str:
        """Key of the result in `History.observed`."""

    def __call__(self) -> None:
        """Note that one more update was made."""

    def result(self) -> object:
        """Return a mapping or a frozen dataclass of JSON values; None if there is no result."""


Observe = Callable[[Forecaster], Observer]
"""Starts to observe a model before its first update, on the device that it is trained on."""


def start(observers: Sequence[Observe], model: Forecaster) -> tuple[Observer, ...]:
    """Start all observers of a run.

    Raises:
        ModelError: two of them have the same name.
    """
    started = tuple(observe(model) for observe in observers)
    names = [observer.name for observer in started]
    if len(set(names)) < len(names):
        raise ModelError(f"observers={names} must have different names; pass each of them once")
    return started


def results(observers: Sequence[Observer]) -> dict[str, object]:
    """Return the results by observer name, without those that are None."""
    every = {observer.name: observer.result() for observer in observers}
    return {name: result for name, result in every.items() if result is not None}
