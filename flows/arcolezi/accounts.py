"""Accounts of the paper's settings: the epsilon that its noise really gives."""

from __future__ import annotations

from dp.accounting.gaussian import discrete_epsilon
from dp.mechanisms.window_sampling import WindowSampling
from dp.unit.contribution import ContributionBound
from dp.unit.window_reach import WindowReach
from flows.arcolezi.published import DELTA, EPOCHS, LAGS, Setting, claimed_sigma
from flows.document import Document

INTERVALS, DAY, WINDOWS = 3456, 48, 3114
"""Intervals of the data set and of a day; windows of the paper's training."""
_REGIONS = 2
"""One region contains the five others, so that a person can be counted twice in an interval."""


def of_counts(setting: Setting) -> Document:
    """Return epsilon of noise on counts, for one interval, one day and the whole panel.

    The paper adds up its figure over intervals; Gaussian noise composes far better than that.
    """
    assert setting.epsilon is not None  # noqa: S101  (of table 4)
    sigma = claimed_sigma(setting.epsilon)

    def spent(intervals: int, regions: int) -> float:
        return discrete_epsilon(sigma, ContributionBound(intervals, regions), DELTA)

    return {
        "name": setting.name,
        "sigma": sigma,
        "claimed": setting.epsilon,
        "user-interval": spent(1, 1),
        "user-interval, two regions": spent(1, _REGIONS),
        "user-day, two regions": spent(DAY, _REGIONS),
        "user, one region": spent(INTERVALS, 1),
        "user, two regions": spent(INTERVALS, _REGIONS),
    }


def of_training(setting: Setting) -> Document:
    """Return epsilon of DP-SGD at these settings, had the noise been added.

    The paper's figure is for one window; every interval is in seven of them.
    """
    sampling = account(setting, EPOCHS)
    everything = WindowSampling(
        WINDOWS, sampling.batch, sampling.steps, WINDOWS, sampling.noise_multiplier
    )
    return {
        "name": setting.name,
        "noise_multiplier": setting.noise_multiplier,
        "claimed": setting.epsilon,
        "one window": sampling.naive_epsilon(DELTA),
        "interval-1": sampling.epsilon(DELTA),
        "user": everything.epsilon(DELTA),
    }


def account(setting: Setting, epochs: int) -> WindowSampling:
    """Return batches and noise of a training, accounted for all values of one interval."""
    assert setting.noise_multiplier is not None  # noqa: S101  (of table 4)
    steps = epochs * -(-WINDOWS // setting.batch_size)
    affected = WindowReach(LAGS).affected(1)
    return WindowSampling(WINDOWS, setting.batch_size, steps, affected, setting.noise_multiplier)
