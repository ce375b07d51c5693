"""Trainings as `DpEvent`s of dp-accounting, for its accountants and ledgers."""

from __future__ import annotations

import attr
import dp_accounting

from dp.mechanisms.window_sampling import WindowSampling


@attr.frozen
class WindowedGaussianDpEvent(dp_accounting.DpEvent):  # type: ignore[misc]
    """One update on Poisson-sampled windows of which a privacy unit changes several.

    Attributes:
        hit: k, windows that a unit can change.
        sampling_probability: q, with which a window is in the batch.
        noise_multiplier: s, standard deviation of the noise over the clip.
    """

    hit: int
    sampling_probability: float
    noise_multiplier: float


def training_event(sampling: WindowSampling) -> dp_accounting.DpEvent:
    """Return the event of a whole training: every update, and the release beside them."""
    update = WindowedGaussianDpEvent(sampling.hit, sampling.rate, sampling.noise_multiplier)
    updates = dp_accounting.SelfComposedDpEvent(update, sampling.steps)
    if sampling.side_release is None:
        return updates
    # n cells that change by 1 each: one Gaussian of sensitivity √n
    side = dp_accounting.GaussianDpEvent(
        sampling.side_release.sigma / sampling.side_release.cells**0.5
    )
    return dp_accounting.ComposedDpEvent([updates, side])
