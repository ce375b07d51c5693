"""Batch scaling: settings of the large-batch regime that train like a small batch.

With a gradient of B windows, noise of covariance S(B) on it and a learning rate η, the noise of an
update has covariance η²S(B). Hoffer, Hubara and Soudry (2017, arXiv:1705.08741) keep this covariance and
the number of updates, and the large batch then trains like the small one.

- *Sampling noise.* The mean of B windows has S(B) = Σ/B, so η²/B is kept by η ∝ √B: `sqrt`.
- *DP noise* of multiplier σ and clip C on a sum that is divided by B: S(B) = σ²C²/B², so η²σ²C²/B² is
  kept at fixed σ by η ∝ B: `linear`. At fixed epsilon σ grows with B, about in proportion once B is
  large, and then neither σC/B nor η need change: see `noise_rate`.
- *Adam* and its variants divide by the root of the second moment, which is √Φ = σC/B where DP noise is
  most of the gradient. Their update has noise of about η for every B: `none`; any other rule would scale
  twice.

With a fixed number of epochs, and so fewer updates, other rules hold: `linear` for SGD (Goyal et al.
2017, arXiv:1706.02677) and `sqrt` for Adam (Malladi et al. 2022, arXiv:2205.10287).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from models.errors import ModelError

if TYPE_CHECKING:  # settings may import the rules
    from models.training.config import TrainingConfig

_POWERS = {"none": 0.0, "sqrt": 0.5, "linear": 1.0}
RULES = tuple(_POWERS)

_PLAIN = ("sgd", "sgdp", "dp-sgdp")
_ADAPTIVE = ("adam", "adamw", "diffgrad", "adabelief", "adamp", "tract")
_DEBIASED = ("dp-adam", "dp-adabelief", "dp-diffgrad", "dp-adamp")


@dataclass(frozen=True)
class Advice:
    """A scaling rule, and the reason for it.

    Attributes:
        rule: a name in `RULES`.
        reason: one sentence.
    """

    rule: str
    reason: str


def scaled_rate(rate: float, *, batch: int, base: int, rule: str) -> float:
    """Return the learning rate for `batch` windows per update that is equivalent to `rate` for `base`.

    Args:
        rate: learning rate at `base`, above 0.
        batch: windows per update.
        base: windows per update for which `rate` was tuned.
        rule: `none`, `sqrt` or `linear`.

    Raises:
        ModelError: a value is out of its range.
    """
    _check_name("rule", rule, RULES)
    if not 0 < rate < math.inf:
        raise ModelError(f"rate={rate} must be above 0 and finite")
    _check_counts(batch=batch, base=base)
    return float(rate * (batch / base) ** _POWERS[rule])


def noise_rate(rate: float, *, batch: int, noise: float, base: int, base_noise: float) -> float:
    """Return the learning rate that keeps η²σ²C²/B² where the noise multiplier changes with the batch.

    Equal to `linear` if both multipliers are the same. For plain SGD: Adam divides by σC/B already.

    Args:
        rate: learning rate at `base` windows and `base_noise`, above 0.
        batch: windows per update.
        noise: σ at `batch`, calibrated for its sampling rate and number of updates, above 0.
        base: windows per update for which `rate` was tuned.
        base_noise: σ at `base`, above 0.

    Raises:
        ModelError: a value is out of its range.
    """
    for name, value in (("noise", noise), ("base_noise", base_noise)):
        if not 0 < value < math.inf:
            raise ModelError(f"{name}={value} must be above 0 and finite")
    return scaled_rate(rate, batch=batch, base=base, rule="linear") * base_noise / noise


def rule_for(optimizer: str, mechanism: str) -> Advice:
    """Return the rule for an optimizer under a mechanism when the number of updates is kept.

    Args:
        optimizer: a name in `models.optimizers` that trains networks.
        mechanism: `none`, `input` or `gradient`.

    Raises:
        ModelError: an unknown optimizer or mechanism.
    """
    _check_name("optimizer", optimizer, _PLAIN + _ADAPTIVE + _DEBIASED)
    _check_name("mechanism", mechanism, ("none", "input", "gradient"))
    if optimizer in _PLAIN:
        if mechanism != "gradient":
            return Advice("sqrt", "sampling noise has covariance η²/B, which η ∝ √B keeps")
        return Advice("linear", "DP noise has covariance η²σ²C²/B², which η ∝ B keeps at fixed σ")
    if mechanism != "gradient":
        return Advice(
            "sqrt",
            "the update's sampling noise is η√(Σ/B)/√(g² + Σ/B): √B keeps it while the signal g² is "
            "most of the second moment; where noise is, `none` keeps it, so try both",
        )
    if optimizer in _DEBIASED:
        return Advice(
            "none",
            "where there is no signal the second moment is at its floor, a share of Φ ∝ 1/B², and "
            "scales by itself; only where signal is left of it would η ∝ B keep the noise",
        )
    return Advice("none", "the second moment is that of the DP noise, ∝ 1/B²: it scales by itself")


def stretch(batch: int, base: int) -> int:
    """Return ⌈B_L/B_S⌉, the factor on all numbers of epochs in regime adaptation.

    The number of updates never falls. If `batch` is a multiple of `base`, it is kept up to the last,
    smaller batch of each epoch; otherwise it grows, by less than a factor of two before rounding:
    choose a multiple, or `epochs_for`.

    Args:
        batch: B_L, windows per update, `base` or more.
        base: B_S, windows per update of the original regime.

    Raises:
        ModelError: a value is out of its range.
    """
    _check_counts(batch=batch, base=base)
    if batch < base:
        raise ModelError(
            f"batch={batch} is smaller than base={base}: regimes are adapted to larger batches; "
            f"choose {base} or more"
        )
    return -(-batch // base)


def updates_of(epochs: int, *, windows: int, batch: int) -> int:
    """Return the updates in `epochs` passes; the last batch of a pass may be smaller."""
    _check_counts(epochs=epochs, windows=windows, batch=batch)
    return epochs * -(-windows // batch)


def epochs_for(updates: int, *, windows: int, batch: int) -> int:
    """Return the smallest number of epochs with at least `updates` updates.

    Args:
        updates: number of updates of the original regime.
        windows: number of training windows.
        batch: windows per update.

    Raises:
        ModelError: a value is out of its range.
    """
    _check_counts(updates=updates)
    return -(-updates // updates_of(1, windows=windows, batch=batch))


def adapted(config: TrainingConfig, batch: int, *, rule: str) -> TrainingConfig:
    """Return the same training in larger batches: learning rate scaled, number of updates kept.

    Everything counted in epochs is stretched, patience included. A schedule is a function of the share
    of updates done, so it stretches too; an average of the weights decays per update, and stays. More
    epochs at larger batches cost more budget under `gradient`: calibrate again.

    Args:
        config: a regime that works, at its own batch size.
        batch: windows per update, at least as many as in `config`.
        rule: a name in `RULES`, such as that of `rule_for`.

    Raises:
        ModelError: a value is out of its range.
    """
    factor = stretch(batch, config.batch_size)
    return replace(
        config,
        batch_size=batch,
        learning_rate=scaled_rate(
            config.learning_rate, batch=batch, base=config.batch_size, rule=rule
        ),
        epochs=config.epochs * factor,
        patience=None if config.patience is None else config.patience * factor,
    )


def _check_name(field: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ModelError(f"{field}={value!r} is unknown here; choose one of {', '.join(known)}")


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise ModelError(f"{name}={value} must be at least 1")
