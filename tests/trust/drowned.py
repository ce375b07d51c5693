"""Noise that drowns everything: what a release says then depends on its shape alone.

The sharpest way to compare what two neighbouring files publish. With real noise every figure of a run
differs from the next run's, and a comparison has to leave all of them out. Here released counts and
noised gradients are replaced by numbers that depend on nothing but their shape, and so is every error
that is measured on raw counts (each of which is marked so where it is shown). What still differs
between two neighbours came past the noise.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import flows
import models
from dp import clipping
from dp.mechanisms import count_noise, kept_offsets, offset_noise, randomness, scale
from models import metrics

ON_RAW_COUNTS = ("rmse", "mae", "smape", "mase", "coverage")
"""Errors of a test period; each is published with the words "evaluated on raw data"."""


def drown(patch: pytest.MonkeyPatch) -> None:
    """Put the drowning noise in, until the patch is undone."""
    for module in (count_noise, kept_offsets, offset_noise, scale):
        patch.setattr(module, "discrete_gaussian", counts)
    patch.setattr(kept_offsets, "sample", offsets)
    for kind in generators():
        patch.setattr(kind, "normal", normal)
        patch.setattr(kind, "uniform", uniform)
    for clipper in (clipping.Clipper, clipping.Stack):
        patch.setattr(clipper, "__call__", _drowned(clipper.__call__))
    for module in _timed():
        patch.setattr(module, "time", _Clock())
    for name in ON_RAW_COUNTS:
        patch.setattr(metrics, name, _constant(getattr(metrics, name)))


def generators() -> list[type]:
    """All classes that noise and batches may come from."""
    found = [
        kind
        for _, kind in inspect.getmembers(randomness, inspect.isclass)
        if kind.__module__ == randomness.__name__
        and {"normal", "uniform"} <= vars(kind).keys()
        and kind is not randomness.Randomness
    ]
    assert found
    return found


class _Clock:
    """`time`, by which everything takes no time."""

    def perf_counter(self) -> float:
        """Always the same."""
        return 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def _timed() -> Iterator[ModuleType]:
    """Modules that look at the clock."""
    for package in (flows, models):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                module = importlib.import_module(found.name)
                if getattr(module, "time", None) is time:
                    yield module


def counts(counts: Any, *_: Any, **__: Any) -> Any:
    """In place of noised counts: a day's rhythm that no count has a part in."""
    rows = np.arange(len(counts)).reshape(-1, *[1] * (np.ndim(counts) - 1))
    noise = np.random.default_rng(0).integers(0, 50, np.shape(counts))
    return np.asarray(200 + 100 * np.sin(rows / 12 * 2 * np.pi) + noise).astype(np.int64)


def offsets(size: int, *_: Any) -> Any:
    """In place of the offsets of a group, whose noise drowns everything already."""
    return np.zeros(size, np.int64)


def normal(self: Any, like: torch.Tensor, std: float) -> torch.Tensor:
    """The same in every run, as a generator's `normal`."""
    return torch.randn(like.shape, generator=_draw(self), dtype=like.dtype) * std


def uniform(self: Any, size: int) -> torch.Tensor:
    """The same in every run, as a generator's `uniform`."""
    return torch.rand(size, generator=_draw(self), dtype=torch.float64)


def _draw(owner: Any) -> torch.Generator:
    if "drowning" not in vars(owner):
        owner.drowning = torch.Generator().manual_seed(0)
    return owner.drowning


def _drowned(honest: Callable[..., Any]) -> Callable[..., Any]:
    """Clipped sums times 0: nothing is left of them, unless they are not finite."""

    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        found = honest(self, *arguments, **named)
        models = [self.model] if hasattr(self, "model") else arguments[0]
        for model in models:
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(0.0)
        return found

    return call


def _constant(honest: Callable[..., Any]) -> Callable[..., Any]:
    """An error on raw counts: the same regions, and always 1."""

    def call(*arguments: Any, **named: Any) -> Any:
        found = honest(*arguments, **named)
        return replace(found, mean=1.0, regions=dict.fromkeys(found.regions, 1.0))

    return call
