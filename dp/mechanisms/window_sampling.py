"""Poisson sampling of windows and the privacy cost of training on the samples, in one value."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from dp.accounting import sliding_window
from dp.budget import Budget

if TYPE_CHECKING:  # the ledger accounts for trainings without importing torch
    from torch import Tensor

    from dp.mechanisms.randomness import Randomness


@dataclass(frozen=True)
class WindowSampling:
    """Sampling and noise of the windows in training, on which alone its epsilon depends.

    At each of `steps` updates every window is in the batch with probability `batch` / `windows`,
    independently of all others; the clipped sum gets noise of `noise_multiplier` times the clip.

    Attributes:
        windows: n, training windows.
        batch: expected windows in a batch; the sum is divided by it, never by the drawn size.
        steps: updates of the weights.
        hit: k, windows that one privacy unit can change.
        noise_multiplier: s, standard deviation of the noise over the clip.
        side_release: a release of counts beside the training (for the scaler), composed with it; None
            if there is none.

    Raises:
        ValueError: a value is out of its range.

    Example:
        >>> sampling = WindowSampling(windows=300, batch=60, steps=200, hit=5, noise_multiplier=20.0)
        >>> sampling.rate, sampling.steps_per_epoch
        (0.2, 5)
        >>> round(sampling.epsilon(delta=1e-6), 2)
        7.28
    """

    windows: int
    batch: int
    steps: int
    hit: int
    noise_multiplier: float
    side_release: sliding_window.CellNoise | None = None

    def __post_init__(self) -> None:
        for name in ("windows", "batch", "steps", "hit"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name}={getattr(self, name)} to be at least 1")
        if self.batch > self.windows:
            raise ValueError(
                f"batch_size={self.batch} is larger than the {self.windows} training windows; "
                f"choose at most {self.windows}"
            )
        if self.hit > self.windows:
            raise ValueError(f"expected hit={self.hit} ≤ {self.windows} training windows")
        if not self.noise_multiplier >= 0:
            raise ValueError(f"expected noise_multiplier={self.noise_multiplier} to be 0 or more")

    @property
    def rate(self) -> float:
        """q, the probability that a window is in a batch."""
        return self.batch / self.windows

    @property
    def steps_per_epoch(self) -> int:
        """Updates in which as many windows are drawn as there are, on average."""
        return -(-self.windows // self.batch)

    def epsilon(self, delta: float) -> float:
        """Return the training's epsilon at a delta (`dp.accounting.sliding_window`)."""
        account = self.hit, self.rate, self.noise_multiplier, self.steps, delta
        return sliding_window.epsilon_of(*account, side_release=self.side_release)

    def epsilon_by_epoch(self, delta: float) -> list[float]:
        """Return the epsilon spent after each epoch."""
        account = self.hit, self.rate, self.noise_multiplier, self._marks, delta
        end = self.epsilon(delta)
        return [
            min(end, spent)
            for spent in sliding_window.epsilon_path(*account, side_release=self.side_release)
        ]

    def naive_epsilon(self, delta: float) -> float:
        """Return epsilon for a single window: not a guarantee for an interval or a person."""
        return sliding_window.naive_epsilon(self.rate, self.noise_multiplier, self.steps, delta)

    def naive_epsilon_by_epoch(self, delta: float) -> list[float]:
        """Return the naive epsilon after each epoch."""
        return [
            sliding_window.naive_epsilon(self.rate, self.noise_multiplier, mark, delta)
            for mark in self._marks
        ]

    @property
    def rho(self) -> float:
        """ρ of zero-concentrated DP, as if every changed window were in every batch; very loose."""
        each = (
            (2 * self.hit / self.noise_multiplier) ** 2 / 2 if self.noise_multiplier else math.inf
        )
        side = self.side_release
        return self.steps * each + (side.cells / (2 * side.sigma**2) if side else 0.0)

    @property
    def spacing(self) -> float:
        """A spacing of the discretised privacy loss that is fine enough."""
        step = sliding_window.largest_loss(self.hit, self.rate, self.noise_multiplier)
        side = self.side_release
        return max(step, side.largest_loss / 50 if side else 0.0) / sliding_window.FINE

    @property
    def largest_loss(self) -> float:
        """Privacy loss of a step, or beside the steps, beyond which there is next to no mass."""
        step = sliding_window.largest_loss(self.hit, self.rate, self.noise_multiplier)
        return max(step, self.side_release.largest_loss if self.side_release else 0.0)

    def loss_distribution(self, spacing: float) -> Any:
        """Return the privacy loss of the whole training (a `PrivacyLossDistribution`)."""
        step = sliding_window.loss_distribution(self.hit, self.rate, self.noise_multiplier, spacing)
        total = step.self_compose(self.steps)
        side = self.side_release
        return total.compose(side.loss_distribution(spacing)) if side else total

    def event(self) -> dict[str, Any]:
        """Return everything needed to account for the training again, as JSON values."""
        values = asdict(self)
        values["aside"] = values.pop("side_release")  # its name in ledgers
        return {"mechanism": "poisson-sampled windows", "rate": self.rate, **values}

    def draw(self, randomness: Randomness) -> Iterator[Tensor]:
        """Yield one batch per step: positions of windows; a batch may be empty.

        Args:
            randomness: secret; the account assumes that nobody knows the batches.
        """
        import torch

        for _ in range(self.steps):
            yield torch.nonzero(randomness.uniform(self.windows) < self.rate).flatten()

    @property
    def _marks(self) -> tuple[int, ...]:
        each = self.steps_per_epoch
        return (*range(each, self.steps, each), self.steps)


def calibrate_sampling(
    budget: Budget,
    *,
    windows: int,
    batch: int,
    steps: int,
    hit: int,
    side_release: sliding_window.CellNoise | None = None,
) -> WindowSampling:
    """Return the sampling with the least noise whose epsilon is within the budget.

    Raises:
        ValueError: a value is out of its range, or the epsilon cannot be reached.
    """
    draft = WindowSampling(
        windows, batch, steps, hit, noise_multiplier=1.0, side_release=side_release
    )
    noise = sliding_window.noise_for(
        budget, hit=hit, rate=draft.rate, steps=steps, side_release=side_release
    )
    return replace(draft, noise_multiplier=noise)


def sampling_of(event: dict[str, Any]) -> WindowSampling:
    """Return the sampling that an event describes."""
    names = [field.name for field in fields(WindowSampling) if field.name != "side_release"]
    side = event["aside"]
    return WindowSampling(
        **{name: event[name] for name in names},
        side_release=sliding_window.CellNoise(**side) if side else None,
    )
